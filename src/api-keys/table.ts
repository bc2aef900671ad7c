import { sql } from "drizzle-orm";
import { index, pgTable, text } from "drizzle-orm/pg-core";
import type { Scope } from "../core/principal.ts";
import { bytes, id, moment } from "../platform/columns.ts";

export const apiKeys = pgTable(
	"api_keys",
	{
		id: id("key", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id"),
		name: text("name").notNull(),
		keyPrefix: text("key_prefix").notNull(),
		/** SHA-256 of the whole key; the key itself is nowhere. */
		keyHash: bytes("key_hash").notNull().unique("api_keys_key_hash_key"),
		scopes: text("scopes").array().$type<Scope[]>().notNull(),
		source: text("source").$type<"api" | "bootstrap" | "cli">().notNull(),
		deviceName: text("device_name"),
		createdByUserId: text("created_by_user_id"),
		expiresAt: moment("expires_at"),
		lastUsedAt: moment("last_used_at"),
		revokedAt: moment("revoked_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
	},
	(table) => [index("api_keys_organization_idx").on(table.organizationId, table.id)],
);
