import { index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";

/** Partitioned by id (time). `payload` is the envelope's exact text, null once it was erased. */
export const events = pgTable(
	"events",
	{
		id: id("evt", "id").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id"),
		type: text("type").notNull(),
		payload: text("payload"),
		/** How many deliveries it was published to. */
		deliveryCount: integer("delivery_count").notNull(),
		createdAt: moment("created_at").notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.id] }),
		index("events_type_idx").on(table.organizationId, table.type, table.id),
	],
);

/** Idempotency keys of publishers. Kept for 24 hours. */
export const eventIdempotencyKeys = pgTable(
	"event_idempotency_keys",
	{
		organizationId: id("org", "organization_id").notNull(),
		key: text("key").notNull(),
		eventId: id("evt", "event_id").notNull(),
		expiresAt: moment("expires_at").notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.key] }),
		index("event_idempotency_keys_expiry_idx").on(table.expiresAt),
	],
);
