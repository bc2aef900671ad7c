import { sql } from "drizzle-orm";
import { bigint, index, jsonb, pgTable, primaryKey, text, uniqueIndex, uuid } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import type { IntegrationConfig, IntegrationState, IntegrationStatus, PlatformHook } from "./integration.ts";

export const integrations = pgTable(
	"integrations",
	{
		id: id("int", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		provider: text("provider").notNull(),
		state: text("state").$type<IntegrationState>().notNull(),
		externalId: text("external_id"),
		/** What the user set. */
		config: jsonb("config").$type<IntegrationConfig>().notNull().default({}),
		/** What we report beside it. */
		status: jsonb("status").$type<IntegrationStatus>().notNull().default({}),
		/** Sealed JSON of the provider's credentials; null when there are none. */
		credentials: text("credentials"),
		/** Sealed JSON: signing secrets, newest first, the older with the time until which they count. */
		signingSecrets: text("signing_secrets"),
		/** What reports a platform's deployments; its path tokens as hashes. */
		hook: jsonb("hook").$type<PlatformHook>(),
		/** Set by DELETE: gone from the API, kept until the disconnect job has cleaned up. */
		deletedAt: moment("deleted_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		uniqueIndex("integrations_project_provider_key")
			.on(table.projectId, table.provider)
			.where(sql`deleted_at is null`),
		index("integrations_organization_idx").on(table.organizationId, table.id),
	],
);

/** Rejected requests of an integration: how many there were, and the last ones without bodies. */
export const inboundRejections = pgTable("inbound_rejections", {
	integrationId: id("int", "integration_id").primaryKey(),
	organizationId: id("org", "organization_id").notNull(),
	total: bigint("total", { mode: "number" }).notNull(),
	recent: jsonb("recent").$type<{ at: string; reason: string; address: string }[]>().notNull(),
});

/** Who works at a project's platform just now: what is made there is made by one process at a time. */
export const platformLeases = pgTable(
	"platform_leases",
	{
		projectId: id("prj", "project_id").notNull(),
		provider: text("provider").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		holder: uuid("holder").notNull(),
		leasedUntil: moment("leased_until").notNull(),
	},
	(table) => [primaryKey({ columns: [table.projectId, table.provider] })],
);
