import { sql } from "drizzle-orm";
import { index, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import type { Actor } from "../core/principal.ts";
import { id, moment } from "../platform/columns.ts";

export const auditEvents = pgTable(
	"audit_events",
	{
		id: id("aud", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id"),
		action: text("action").notNull(),
		actorKind: text("actor_kind").$type<Actor["kind"]>().notNull(),
		actorId: text("actor_id"),
		metadata: jsonb("metadata").$type<Record<string, unknown>>().notNull(),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		index("audit_events_organization_idx").on(table.organizationId, table.id),
		index("audit_events_project_idx").on(table.projectId, table.id),
	],
);
