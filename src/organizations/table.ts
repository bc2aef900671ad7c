import { sql } from "drizzle-orm";
import { pgTable, text } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";

export const organizations = pgTable("organizations", {
	id: id("org", "id").primaryKey(),
	name: text("name").notNull(),
	slug: text("slug").notNull().unique("organizations_slug_key"),
	clerkOrganizationId: text("clerk_organization_id").unique("organizations_clerk_organization_id_key"),
	createdAt: moment("created_at").notNull().default(sql`clock_now()`),
	updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
});
