import { sql } from "drizzle-orm";
import { boolean, index, integer, jsonb, pgTable, primaryKey, text, uuid } from "drizzle-orm/pg-core";
import { id, moment } from "../platform/columns.ts";
import { webhookEndpoints } from "../webhook-endpoints/table.ts";
import type { DeliveryOrigin, DeliveryState } from "./delivery.ts";

/** Partitioned by id (time). One row for each event and endpoint, and one more for each redelivery. */
export const deliveries = pgTable(
	"deliveries",
	{
		id: id("whd", "id").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		endpointId: id("whe", "endpoint_id").notNull(),
		eventId: id("evt", "event_id").notNull(),
		eventType: text("event_type").notNull(),
		origin: text("origin").$type<DeliveryOrigin>().notNull(),
		state: text("state").$type<DeliveryState>().notNull(),
		attempts: integer("attempts").notNull().default(0),
		maxAttempts: integer("max_attempts").notNull(),
		nextAttemptAt: moment("next_attempt_at"),
		/** The claim in progress. A result is settled only where `claimId` still matches. */
		claimId: uuid("claim_id"),
		leaseUntil: moment("lease_until"),
		responseStatus: integer("response_status"),
		errorCode: text("error_code"),
		lastError: text("last_error"),
		deliveredAt: moment("delivered_at"),
		createdAt: moment("created_at").notNull(),
		updatedAt: moment("updated_at").notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.id] }),
		index("deliveries_due_idx").on(table.endpointId, table.nextAttemptAt).where(sql`state = 'pending'`),
		index("deliveries_test_idx")
			.on(table.endpointId, table.nextAttemptAt)
			.where(sql`state = 'pending' and origin = 'test'`),
		index("deliveries_endpoint_idx").on(table.endpointId, table.id),
		index("deliveries_endpoint_state_idx").on(table.endpointId, table.state, table.id),
		index("deliveries_endpoint_type_idx").on(table.endpointId, table.eventType, table.id),
		index("deliveries_event_idx").on(table.eventId, table.id),
	],
);

/** Partitioned by id (time), append only. */
export const deliveryAttempts = pgTable(
	"delivery_attempts",
	{
		id: id("att", "id").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		endpointId: id("whe", "endpoint_id").notNull(),
		deliveryId: id("whd", "delivery_id").notNull(),
		number: integer("number").notNull(),
		at: moment("at").notNull(),
		durationMs: integer("duration_ms").notNull(),
		responseStatus: integer("response_status"),
		errorCode: text("error_code"),
		error: text("error"),
		responseHeaders: jsonb("response_headers").$type<[name: string, value: string][]>(),
		responseBody: text("response_body"),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.id] }),
		index("delivery_attempts_delivery_idx").on(table.deliveryId, table.number, table.id),
	],
);

/** One row an endpoint: when it may next have due work (a hint, never late), and when it was last served. */
export const deliveryLanes = pgTable(
	"delivery_lanes",
	{
		endpointId: id("whe", "endpoint_id")
			.primaryKey()
			.references(() => webhookEndpoints.id, { onDelete: "cascade" }),
		organizationId: id("org", "organization_id").notNull(),
		dueAt: moment("due_at"),
		servedAt: moment("served_at").notNull().default(sql`clock_now()`),
	},
	(table) => [index("delivery_lanes_due_idx").on(table.dueAt).where(sql`due_at is not null`)],
);

/** One row an endpoint that has lost deliveries: how many since `delivery.exhausted` told of it, which first and last. */
export const deliveryExhaustions = pgTable(
	"delivery_exhaustions",
	{
		endpointId: id("whe", "endpoint_id")
			.primaryKey()
			.references(() => webhookEndpoints.id, { onDelete: "cascade" }),
		organizationId: id("org", "organization_id").notNull(),
		count: integer("count").notNull(),
		firstDeliveryId: id("whd", "first_delivery_id").notNull(),
		lastDeliveryId: id("whd", "last_delivery_id").notNull(),
		toldAt: moment("told_at"),
	},
	(table) => [index("delivery_exhaustions_waiting_idx").on(table.toldAt).where(sql`count > 0`)],
);

/** One row an endpoint: when a person last asked for deliveries, the times of the last minute. */
export const deliveriesByHand = pgTable("deliveries_by_hand", {
	endpointId: id("whe", "endpoint_id")
		.primaryKey()
		.references(() => webhookEndpoints.id, { onDelete: "cascade" }),
	organizationId: id("org", "organization_id").notNull(),
	askedAt: moment("asked_at").array().notNull(),
});

/** One row while an operator has paused all deliveries, else none. Every claim looks for it. */
export const deliveryPause = pgTable("delivery_pause", {
	isPaused: boolean("is_paused").primaryKey().default(true),
	reason: text("reason"),
	pausedAt: moment("paused_at").notNull().default(sql`clock_now()`),
});
