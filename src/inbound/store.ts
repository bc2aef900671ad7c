import { and, asc, desc, eq, getTableColumns, inArray, lt, sql } from "drizzle-orm";
import { fromUuid, type InboundId, type IntegrationId, toUuid } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { InboundState, InboundSummary, InboundWebhook } from "./inbound-webhook.ts";
import { inboundWebhooks } from "./table.ts";

export type NewInboundWebhook = Omit<InboundWebhook, "state" | "error" | "receivedAt" | "processedAt">;

/** How one run of an event ended. `processedAt` is that of the row when the run began. */
export type InboundOutcome = Pick<InboundWebhook, "id" | "processedAt" | "error"> & { state: InboundState };

/** What one batch may hold at most, as text: documents are up to 5 MiB each. */
const batchBytesMax = 16 * 1024 * 1024;
const keyDays = 30;

const { document: _document, bodyHash: _bodyHash, ...summaryColumns } = getTableColumns(inboundWebhooks);

export function inboundStore({ orm, prepared }: Database) {
	return {
		/** Stores a webhook under its dedup key, in one statement. False when the key is taken: nothing is written. */
		async insert(webhook: NewInboundWebhook): Promise<boolean> {
			const rows = await prepared("insert_inbound_webhook", insertSql, [
				toUuid(webhook.organizationId),
				toUuid(webhook.integrationId),
				webhook.providerEventId,
				toUuid(webhook.id),
				toUuid(webhook.projectId),
				webhook.provider,
				webhook.type,
				JSON.stringify(webhook.document),
				webhook.bodyHash,
				webhook.occurredAt,
			]);
			return rows.length > 0;
		},

		/** The oldest that wait, at most `limit` and at most 16 MiB of documents, but always one. */
		async listWaiting(integrationId: IntegrationId, limit: number): Promise<InboundWebhook[]> {
			const { rows } = await orm.execute<{ id: string }>(sql`select id from (
					select id, row_number() over (order by id) as position,
						sum(octet_length(document::text)) over (order by id) as bytes
					from (select id, document from inbound_webhooks
						where integration_id = ${toUuid(integrationId)} and state = 'received'
						order by id limit ${limit}) waiting
				) measured where position = 1 or bytes <= ${batchBytesMax}`);
			if (rows.length === 0) return [];
			const ids = rows.map((row) => fromUuid("inb", row.id));
			return orm
				.select()
				.from(inboundWebhooks)
				.where(
					and(
						eq(inboundWebhooks.integrationId, integrationId),
						eq(inboundWebhooks.state, "received"),
						inArray(inboundWebhooks.id, ids),
					),
				)
				.orderBy(asc(inboundWebhooks.id));
		},

		/** Ends runs; returns those that this call ended. One that another process ended already is left alone. */
		async settle(integrationId: IntegrationId, outcomes: readonly InboundOutcome[]): Promise<Set<InboundId>> {
			const rows = await prepared<{ id: string }>("settle_inbound_webhooks", settleSql, [
				toUuid(integrationId),
				outcomes.map((outcome) => toUuid(outcome.id)),
				outcomes.map((outcome) => outcome.state),
				outcomes.map((outcome) => outcome.error),
				outcomes.map((outcome) => outcome.processedAt),
			]);
			return new Set(rows.map((row) => fromUuid("inb", row.id)));
		},

		/** Ends all that wait for an integration that is gone. */
		async ignoreWaiting(integrationId: IntegrationId): Promise<void> {
			await orm
				.update(inboundWebhooks)
				.set({ state: "ignored", processedAt: sql`clock_now()` })
				.where(and(eq(inboundWebhooks.integrationId, integrationId), eq(inboundWebhooks.state, "received")));
		},

		/** Newest first; one row more than `limit`, to show whether there are more. */
		async list(
			integrationId: IntegrationId,
			page: { limit: number; before: InboundId | null },
		): Promise<InboundSummary[]> {
			const before = page.before === null ? undefined : lt(inboundWebhooks.id, page.before);
			return orm
				.select(summaryColumns)
				.from(inboundWebhooks)
				.where(and(eq(inboundWebhooks.integrationId, integrationId), before))
				.orderBy(desc(inboundWebhooks.id))
				.limit(page.limit + 1);
		},

		async find(integrationId: IntegrationId, id: InboundId): Promise<InboundWebhook | null> {
			const [row] = await orm
				.select()
				.from(inboundWebhooks)
				.where(and(eq(inboundWebhooks.integrationId, integrationId), eq(inboundWebhooks.id, id)));
			return row ?? null;
		},

		/** Lets an event take effect once more. Null when there is none. */
		async reopen(integrationId: IntegrationId, id: InboundId): Promise<InboundWebhook | null> {
			const [row] = await orm
				.update(inboundWebhooks)
				.set({ state: "received", error: null })
				.where(and(eq(inboundWebhooks.integrationId, integrationId), eq(inboundWebhooks.id, id)))
				.returning();
			return row ?? null;
		},

		/** Integrations whose webhooks wait for longer than their task should take. */
		async listOverdue(seconds: number, limit: number): Promise<IntegrationId[]> {
			const { rows } = await orm.execute<{ id: string }>(sql`select distinct integration_id as id
				from inbound_webhooks
				where state = 'received' and received_at < clock_now() - ${seconds}::float8 * interval '1 second'
				limit ${limit}`);
			return rows.map((row) => fromUuid("int", row.id));
		},
	};
}

// The key's row comes first: of twenty requests at once, nineteen wait for it and then write nothing.
const insertSql = `
with key as (
	insert into inbound_dedup_keys as k (organization_id, integration_id, provider_event_id, inbound_id, expires_at)
	values ($1, $2, $3, $4, clock_now() + interval '${keyDays} days')
	on conflict (organization_id, integration_id, provider_event_id) do update
		set inbound_id = excluded.inbound_id, expires_at = excluded.expires_at
		where k.expires_at <= clock_now()
	returning inbound_id
)
insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id, type,
	state, document, body_hash, occurred_at)
select $1, inbound_id, $5, $2, $6, $3, $7, 'received', $8::jsonb, $9, $10 from key
returning id`;

const settleSql = `
update inbound_webhooks w
set state = o.state, error = o.error, processed_at = clock_now()
from unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) as o(id, state, error, began)
where w.integration_id = $1 and w.id = o.id and w.state = 'received' and w.processed_at is not distinct from o.began
returning w.id`;
