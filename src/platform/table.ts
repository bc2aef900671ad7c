import { sql } from "drizzle-orm";
import { pgTable, text } from "drizzle-orm/pg-core";
import { moment } from "./columns.ts";

/** Ids of the encryption keys that values in this database were sealed with. */
export const encryptionKeys = pgTable("encryption_keys", {
	id: text("id").primaryKey(),
	createdAt: moment("created_at").notNull().default(sql`clock_now()`),
});
