import { and, asc, desc, eq, getTableColumns, inArray, lt, sql } from "drizzle-orm";
import { createBatcher } from "../core/batcher.ts";
import { fromUuid, type InboundId, type IntegrationId, type ProjectId, toUuid } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { isStatementRefused } from "../platform/db-errors.ts";
import type { InboundState, InboundSummary, InboundWebhook } from "./inbound-webhook.ts";
import { insertSql, insertValues, type NewInboundWebhook } from "./insert-query.ts";
import { inboundWebhooks } from "./table.ts";

/** How one run of an event ended. `processedAt` is that of the row when the run began. */
export type InboundOutcome = Pick<InboundWebhook, "id" | "processedAt" | "error"> & { state: InboundState };

/** An integration whose webhooks do not take effect. */
export type LateIntegration = {
	integrationId: IntegrationId;
	projectId: ProjectId;
	provider: string;
	count: number;
	oldestSeconds: number;
	/** Why the oldest that was tried did not. */
	error: string | null;
};

/** What became of the webhooks of one request. */
export type InsertOutcome = "new" | "known" | "changed";

type InsertedRow = { position: number; is_new: boolean };

/** What one batch may hold at most, as text: documents are up to 5 MiB each. */
const batchBytesMax = 16 * 1024 * 1024;
/** What may wait beside them. It waits on after its provider was told to come back: not each of them does. */
const waitingBytesMax = 128 * 1024 * 1024;
/** Small enough that two batches are under way when many come: while one waits for the disk, the next is read. */
const requestsMax = 32;
/** Comes before every id. */
const nilUuid = "00000000-0000-0000-0000-000000000000";

const { document: _document, bodyHash: _bodyHash, ...summaryColumns } = getTableColumns(inboundWebhooks);

export function inboundStore({ orm, prepared }: Database) {
	const insertRequests = async (
		requests: readonly (readonly NewInboundWebhook[])[],
	): Promise<InsertOutcome[]> => {
		const { firsts, firstOf } = groupRepeats(requests.flat());
		const values = insertValues(firsts);
		const rows = await prepared<InsertedRow>("insert_inbound_webhooks", insertSql, values);
		const outcomes = new Map(
			rows.map((row) => [firsts[row.position - 1], row.is_new ? ("new" as const) : ("known" as const)]),
		);
		const outcomeOf = (webhook: NewInboundWebhook): InsertOutcome => {
			const first = firstOf.get(webhook) ?? webhook;
			const outcome = outcomes.get(first) ?? "changed";
			return outcome === "new" && first !== webhook ? "known" : outcome;
		};
		return requests.map((webhooks) => {
			const each = webhooks.map(outcomeOf);
			return (["changed", "new"] as const).find((outcome) => each.includes(outcome)) ?? "known";
		});
	};
	return {
		/**
		 * Stores the events of one request under their dedup keys, all together or, when it fails, none; requests that
		 * come at the same time go into one statement. What is there already stays. `changed`: none was stored, for the
		 * integration has changed since the given version, or is gone; `known`: all are there already.
		 */
		insert: createBatcher<readonly NewInboundWebhook[], InsertOutcome>({
			run: insertRequests,
			itemsMax: requestsMax,
			weightMax: batchBytesMax,
			waitingWeightMax: waitingBytesMax,
			weigh: (webhooks) => webhooks.reduce((sum, { document }) => sum + document.length, 0),
			isOfOneItem: isStatementRefused,
		}),

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

		/** Integrations whose first waiting webhook waits for longer than their task should take, in order of their ids. */
		async listOverdue(
			seconds: number,
			{ after, limit }: { after: IntegrationId | null; limit: number },
		): Promise<IntegrationId[]> {
			const values = [seconds, limit, after === null ? nilUuid : toUuid(after)];
			const rows = await prepared<{ id: string }>("list_overdue_inbound", overdueSql, values);
			return rows.map((row) => fromUuid("int", row.id));
		},

		/** The same with what waits there, oldest first; looks at 10,000 webhooks. */
		async summarizeOverdue(seconds: number, limit: number): Promise<LateIntegration[]> {
			const { rows } = await orm.execute<LateRow>(sql`
				select integration_id, project_id, provider, count(*)::int as count,
					extract(epoch from clock_now() - min(received_at))::float8 as "oldestSeconds",
					(array_agg(error order by id) filter (where error is not null))[1] as error
				from (select * from inbound_webhooks
					where state = 'received' and received_at <= clock_now() - ${seconds}::float8 * interval '1 second'
					limit 10000) waiting
				group by integration_id, project_id, provider order by min(received_at) limit ${limit}`);
			return rows.map(({ integration_id, project_id, ...rest }) => ({
				integrationId: fromUuid("int", integration_id),
				projectId: fromUuid("prj", project_id),
				...rest,
			}));
		},

		/** Webhooks that have not taken effect yet, counted up to 10,000, and how long the oldest of these waits. */
		async countWaiting(): Promise<{ count: number; oldestSeconds: number }> {
			const { rows } = await orm.execute<{ count: number; oldestSeconds: number }>(sql`
				select count(*)::int as count,
					coalesce(extract(epoch from clock_now() - min(received_at)), 0)::float8 as "oldestSeconds"
				from (select received_at from inbound_webhooks where state = 'received' limit 10000) waiting`);
			return rows[0] ?? { count: 0, oldestSeconds: 0 };
		},
	};
}

type LateRow = Omit<LateIntegration, "integrationId" | "projectId"> & {
	integration_id: string;
	project_id: string;
};

// One step through the index of waiting webhooks for each integration that has any, however many it has.
const overdueSql = `
with recursive waiting as (
	(select integration_id, received_at from inbound_webhooks
		where state = 'received' and integration_id > $3::uuid
		order by integration_id, id limit 1)
	union all
	select first.integration_id, first.received_at from waiting w cross join lateral (
		select integration_id, received_at from inbound_webhooks
		where state = 'received' and integration_id > w.integration_id
		order by integration_id, id limit 1
	) first
)
select integration_id as id from waiting
where received_at < clock_now() - $1::float8 * interval '1 second'
limit $2`;

// By positions in the arrays, not by a join: that would find each row's partition as it runs, by which Postgres 18 may
// crash when another transaction has changed a row (see `platform/db.ts`).
const settleSql = `
update inbound_webhooks w
set state = ($3::text[])[array_position($2::uuid[], w.id)], error = ($4::text[])[array_position($2::uuid[], w.id)],
	processed_at = clock_now()
where w.integration_id = $1 and w.id = any ($2::uuid[]) and w.state = 'received'
	and w.processed_at is not distinct from ($5::timestamptz[])[array_position($2::uuid[], w.id)]
returning w.id`;

/** Those that share no key with an earlier one, and for each of the others the one that it repeats. */
function groupRepeats(webhooks: readonly NewInboundWebhook[]) {
	const holders = new Map<string, NewInboundWebhook>();
	const firstOf = new Map<NewInboundWebhook, NewInboundWebhook>();
	for (const webhook of webhooks) {
		const { integrationId, providerEventId, alternateEventId } = webhook;
		const keys = [`${integrationId} ${providerEventId}`];
		if (alternateEventId !== null) keys.push(`${integrationId} ${alternateEventId}`);
		const holder = keys.map((key) => holders.get(key)).find((found) => found !== undefined);
		if (holder !== undefined) firstOf.set(webhook, holder);
		for (const key of keys) if (!holders.has(key)) holders.set(key, holder ?? webhook);
	}
	return { firsts: webhooks.filter((webhook) => !firstOf.has(webhook)), firstOf };
}
