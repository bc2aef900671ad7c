import { sql } from "drizzle-orm";
import { bigint, boolean, index, integer, pgTable, text, uniqueIndex } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";

export const projects = pgTable(
	"projects",
	{
		id: id("prj", "id").primaryKey(),
		organizationId: id("org", "organization_id").notNull(),
		name: text("name").notNull(),
		slug: text("slug").notNull(),
		state: text("state").$type<"provisioning" | "ready" | "failed" | "deleting">().notNull(),
		/** `created`: a database of ours on the project cluster. `external`: bring your own Postgres. */
		origin: text("origin").$type<"created" | "external">().notNull(),
		region: text("region").notNull().default("self-hosted"),
		plan: text("plan").notNull().default("self_hosted"),
		environment: text("environment").$type<"production" | "non_production">().notNull(),
		alwaysOn: boolean("always_on").notNull().default(true),
		postgresVersion: integer("postgres_version"),
		databaseName: text("database_name").notNull(),
		roleName: text("role_name").notNull(),
		/** Sealed JSON `{password, next_password}` (created) or `{pooled_url, direct_url}` (external). */
		credentials: text("credentials").notNull(),
		/** Counts up whenever the credentials change, so that a job can see that it pushed an old value. */
		credentialsVersion: integer("credentials_version").notNull().default(1),
		directPort: integer("direct_port"),
		pooledPort: integer("pooled_port"),
		publicHost: text("public_host"),
		sslMode: text("ssl_mode").notNull(),
		maxConnections: integer("max_connections"),
		storageLimitBytes: bigint("storage_limit_bytes", { mode: "number" }),
		lastError: text("last_error"),
		deletedAt: moment("deleted_at"),
		/** When a deleted project's database and role were dropped. */
		droppedAt: moment("dropped_at"),
		createdAt: moment("created_at").notNull().default(sql`clock_now()`),
		updatedAt: moment("updated_at").notNull().default(sql`clock_now()`),
	},
	(table) => [
		index("projects_organization_idx").on(table.organizationId, table.id),
		uniqueIndex("projects_organization_slug_key")
			.on(table.organizationId, table.slug)
			.where(sql`deleted_at is null`),
		index("projects_expired_idx")
			.on(table.deletedAt)
			.where(sql`origin = 'created' and deleted_at is not null and dropped_at is null`),
	],
);
