import { sql } from "drizzle-orm";
import { boolean, index, integer, jsonb, pgTable, text } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";

export const webhookEndpoints = pgTable(
	"webhook_endpoints",
	{
		id: id("whe", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id"),
		url: text("url").notNull(),
		name: text("name"),
		description: text("description"),
		/** As the caller sent them; empty means all. */
		eventTypes: text("event_types").array().notNull(),
		headers: jsonb("headers").$type<Record<string, string>>().notNull().default({}),
		/** Sealed JSON `{name: value}`; null when there are none. */
		secretHeaders: text("secret_headers"),
		secretHeaderNames: text("secret_header_names").array().notNull().default([]),
		isActive: boolean("is_active").notNull(),
		disabledReason: text("disabled_reason"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [index("webhook_endpoints_organization_idx").on(table.organizationId, table.id)],
);

/** Signing secrets: the live one, and an older one during its grace. */
export const endpointSecrets = pgTable(
	"endpoint_secrets",
	{
		id: id("src", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		endpointId: id("whe", "endpoint_id")
			.notNull()
			.references(() => webhookEndpoints.id, { onDelete: "cascade" }),
		secret: text("secret").notNull(),
		/** Null for the current one. */
		expiresAt: moment("expires_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
	},
	(table) => [index("endpoint_secrets_endpoint_idx").on(table.endpointId, table.id)],
);

/** What the last attempts said of an endpoint; written by settling, read for `health` and auto-disable. */
export const endpointHealth = pgTable("endpoint_health", {
	endpointId: id("whe", "endpoint_id")
		.primaryKey()
		.references(() => webhookEndpoints.id, { onDelete: "cascade" }),
	organizationId: id("org", "organization_id").notNull(),
	lastSuccessAt: moment("last_success_at"),
	lastFailureAt: moment("last_failure_at"),
	/** Start of the present run of failures, null while the last attempt succeeded. */
	failingSince: moment("failing_since"),
	consecutiveFailures: integer("consecutive_failures").notNull().default(0),
});
