import { sql } from "drizzle-orm";
import { index, jsonb, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import { bytes, id, moment } from "../platform/columns.ts";
import type { InboundState } from "./inbound-webhook.ts";

/** Partitioned by id (time). The rows in state `received` are the queue of what still has to take effect. */
export const inboundWebhooks = pgTable(
	"inbound_webhooks",
	{
		id: id("inb", "id").notNull(),
		organizationId: id("org", "organization_id").notNull(),
		projectId: id("prj", "project_id").notNull(),
		integrationId: id("int", "integration_id").notNull(),
		provider: text("provider").notNull(),
		providerEventId: text("provider_event_id").notNull(),
		type: text("type").notNull(),
		state: text("state").$type<InboundState>().notNull(),
		error: text("error"),
		/** The document, redacted. */
		document: jsonb("document").$type<Record<string, unknown>>().notNull(),
		/** SHA-256 of the bytes as they came. */
		bodyHash: bytes("body_hash").notNull(),
		occurredAt: moment("occurred_at"),
		receivedAt: moment("received_at").notNull().default(sql`clock_now()`),
		processedAt: moment("processed_at"),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.id] }),
		index("inbound_webhooks_integration_idx").on(table.integrationId, table.id),
		index("inbound_webhooks_waiting_idx").on(table.integrationId, table.id).where(sql`state = 'received'`),
	],
);

/** Dedup keys live apart from the partitions: a unique key cannot span them. Kept for 30 days. */
export const inboundDedupKeys = pgTable(
	"inbound_dedup_keys",
	{
		organizationId: id("org", "organization_id").notNull(),
		integrationId: id("int", "integration_id").notNull(),
		providerEventId: text("provider_event_id").notNull(),
		inboundId: id("inb", "inbound_id").notNull(),
		expiresAt: moment("expires_at").notNull(),
	},
	(table) => [
		primaryKey({ columns: [table.organizationId, table.integrationId, table.providerEventId] }),
		index("inbound_dedup_keys_expiry_idx").on(table.expiresAt),
	],
);
