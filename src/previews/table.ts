import { sql } from "drizzle-orm";
import { index, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import type { DeletionReason, PreviewMode, PreviewState } from "./preview.ts";

/** A row goes when its database and its role are gone. */
export const previews = pgTable(
	"preview_databases",
	{
		id: id("pvw", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		name: text("name").notNull(),
		mode: text("mode").$type<PreviewMode>().notNull(),
		state: text("state").$type<PreviewState>().notNull(),
		/** Sealed JSON `{password}`. */
		credentials: text("credentials").notNull(),
		lastError: text("last_error"),
		deletionReason: text("deletion_reason").$type<DeletionReason>(),
		ttlExpiresAt: moment("ttl_expires_at").notNull(),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		index("preview_databases_project_idx").on(table.projectId, table.id.desc()),
		index("preview_databases_organization_idx").on(table.organizationId),
		// The name of one that is on its way out is free again.
		uniqueIndex("preview_databases_project_name_key")
			.on(table.projectId, table.name)
			.where(sql`state <> 'deleting'`),
		index("preview_databases_expiry_idx").on(table.ttlExpiresAt).where(sql`state <> 'deleting'`),
		index("preview_databases_deleting_idx").on(table.updatedAt).where(sql`state = 'deleting'`),
	],
);
