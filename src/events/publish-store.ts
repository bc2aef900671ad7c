import { and, eq } from "drizzle-orm";
import { type EndpointId, fromUuid, newId, toUuid } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { envelopeOf, type NewEvent, type WebhookEvent } from "./event.ts";
import { filtersMatching } from "./event-types.ts";
import { eventIdempotencyKeys, events } from "./table.ts";

export type Published = {
	/** In the order given; where the key was used before, the first event under it. */
	events: WebhookEvent[];
	/** Endpoints that have new deliveries. */
	endpointIds: EndpointId[];
};

export type PublishSettings = { maxAttempts: number; firstWaitMs: number; createdAt: Date };

export function publishStore(database: Database) {
	return {
		/**
		 * Writes the events and one delivery for each active endpoint that wants them, in one statement. An
		 * idempotency key that is in force writes nothing for its event. Keys must differ within one call.
		 */
		async publish(news: readonly NewEvent[], settings: PublishSettings): Promise<Published> {
			const made = news.map((event) => ({ ...event, id: newId("evt"), createdAt: settings.createdAt }));
			const rows = await database.prepared<PublishedRow>("publish_events", publishSql, [
				made.map((event) => toUuid(event.id)),
				made.map((event) => toUuid(event.organizationId)),
				made.map((event) => event.projectId && toUuid(event.projectId)),
				made.map((event) => event.type),
				made.map(envelopeOf),
				made.map((event) => event.idempotencyKey ?? null),
				made.map((event) => arrayLiteral(event.namedOnly ? [event.type] : filtersMatching(event.type))),
				made.map((event) => event.namedOnly ?? false),
				settings.createdAt,
				settings.maxAttempts,
				settings.firstWaitMs,
			]);
			const byId = new Map(rows.map((row) => [row.id, row.endpoint_ids]));
			const endpointIds = new Set(rows.flatMap((row) => row.endpoint_ids));
			return {
				events: await Promise.all(
					made.map(async (event) => {
						const written = byId.get(toUuid(event.id));
						return written ? asWritten(event, written.length) : this.earlier(event);
					}),
				),
				endpointIds: [...endpointIds].map((uuid) => fromUuid("whe", uuid)),
			};
		},

		/** The event that an idempotency key stands for. */
		async earlier(event: Pick<NewEvent, "organizationId" | "idempotencyKey">): Promise<WebhookEvent> {
			const { orm } = database;
			const [row] = await orm
				.select({ event: events })
				.from(eventIdempotencyKeys)
				.innerJoin(
					events,
					and(
						eq(events.organizationId, eventIdempotencyKeys.organizationId),
						eq(events.id, eventIdempotencyKeys.eventId),
					),
				)
				.where(
					and(
						eq(eventIdempotencyKeys.organizationId, event.organizationId),
						eq(eventIdempotencyKeys.key, event.idempotencyKey ?? ""),
					),
				);
			if (!row) throw new Error("An event was neither written nor found under its idempotency key.");
			return row.event;
		},

		/** How many deliveries the events would make, to refuse a batch that is too large before writing it. */
		async countMatches(
			news: readonly Pick<NewEvent, "organizationId" | "projectId" | "type">[],
		): Promise<number> {
			const [row] = await database.prepared<{ count: number }>(
				"count_event_matches",
				`select count(*)::int as count
				from unnest($1::uuid[], $2::uuid[], $3::text[]) as e(organization_id, project_id, filters)
				join webhook_endpoints w on ${matches}`,
				[
					news.map((event) => toUuid(event.organizationId)),
					news.map((event) => event.projectId && toUuid(event.projectId)),
					news.map((event) => arrayLiteral(filtersMatching(event.type))),
				],
			);
			return row?.count ?? 0;
		},
	};
}

type Made = NewEvent & Pick<WebhookEvent, "id" | "createdAt">;

function asWritten(made: Made, deliveryCount: number): WebhookEvent {
	const { id, organizationId, projectId, type, createdAt } = made;
	return { id, organizationId, projectId, type, payload: envelopeOf(made), deliveryCount, createdAt };
}

type PublishedRow = { id: string; endpoint_ids: string[] };

const matches = `w.organization_id = e.organization_id and w.is_active
	and (w.project_id is null or w.project_id = e.project_id)
	and (w.event_types = '{}' or w.event_types && e.filters::text[])`;

// One statement, so that an event and its deliveries cannot be apart, and a lone publish needs no round trips
// for a transaction. The key's row is written first: a second publisher waits for it and then writes nothing.
const publishSql = `
with wanted as (
	select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[])
		as e(id, organization_id, project_id, type, payload, key, filters, named_only)
), keys as (
	insert into event_idempotency_keys as k (organization_id, key, event_id, expires_at)
	select organization_id, key, id, clock_now() + interval '24 hours' from wanted where key is not null
	order by organization_id, key
	on conflict (organization_id, key) do update
		set event_id = excluded.event_id, expires_at = excluded.expires_at
		where k.expires_at <= clock_now()
	returning event_id
), e as (
	select * from wanted where key is null or id in (select event_id from keys)
), matched as (
	select e.id as event_id, e.organization_id, e.type, w.id as endpoint_id
	from e join webhook_endpoints w on ${matches} and (not e.named_only or w.event_types <> '{}')
), counted as (
	select e.id, array_remove(array_agg(m.endpoint_id), null) as endpoint_ids
	from e left join matched m on m.event_id = e.id group by e.id
), published as (
	insert into events (organization_id, id, project_id, type, payload, delivery_count, created_at)
	select e.organization_id, e.id, e.project_id, e.type, e.payload, cardinality(c.endpoint_ids), $9::timestamptz
	from e join counted c on c.id = e.id
), delivered as (
	insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts, max_attempts,
		next_attempt_at, created_at, updated_at)
	select organization_id, uuid_v7(), endpoint_id, event_id, type, 'event', 'pending', 0, $10::int,
		clock_now() + $11::float8 * interval '1 millisecond', $9::timestamptz, $9::timestamptz
	from matched
)
select id, endpoint_ids from counted`;

function arrayLiteral(words: readonly string[]): string {
	return `{${words.map((word) => `"${word}"`).join(",")}}`;
}
