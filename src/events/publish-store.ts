import { type EndpointId, fromUuid, newId, toUuid } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { envelopeOf, type NewEvent, type WebhookEvent } from "./event.ts";
import { filtersMatching } from "./event-types.ts";

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
			const earlier = await this.earlier(made.filter((event) => !byId.has(toUuid(event.id))));
			return {
				events: made.map((event) => {
					const written = byId.get(toUuid(event.id));
					if (written) return asWritten(event, written.length);
					const first = earlier.get(placeOf(toUuid(event.organizationId), event.idempotencyKey ?? ""));
					if (!first) throw new Error("An event was neither written nor found under its idempotency key.");
					return first;
				}),
				endpointIds: [...endpointIds].map((uuid) => fromUuid("whe", uuid)),
			};
		},

		/** The events that idempotency keys stand for, under their keys. */
		async earlier(
			keyed: readonly Pick<NewEvent, "organizationId" | "idempotencyKey">[],
		): Promise<Map<string, WebhookEvent>> {
			if (keyed.length === 0) return new Map();
			const rows = await database.prepared<EarlierRow>("earlier_events", earlierSql, [
				keyed.map((event) => toUuid(event.organizationId)),
				keyed.map((event) => event.idempotencyKey ?? ""),
			]);
			return new Map(rows.map((row) => [placeOf(row.organization_id, row.key), toEvent(row)]));
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

type EarlierRow = {
	organization_id: string;
	key: string;
	id: string;
	project_id: string | null;
	type: string;
	payload: string | null;
	delivery_count: number;
	created_at: Date;
};

function toEvent(row: EarlierRow): WebhookEvent {
	return {
		id: fromUuid("evt", row.id),
		organizationId: fromUuid("org", row.organization_id),
		projectId: row.project_id === null ? null : fromUuid("prj", row.project_id),
		type: row.type,
		payload: row.payload,
		deliveryCount: row.delivery_count,
		createdAt: row.created_at,
	};
}

/** Where an idempotency key stands among those of all organizations. */
function placeOf(organizationUuid: string, key: string): string {
	return `${organizationUuid} ${key}`;
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

// Key by key, so that it is by their indexes whatever the planner thinks of the tables.
const earlierSql = `
select g.organization_id, g.key, e.*
from unnest($1::uuid[], $2::text[]) as g(organization_id, key) cross join lateral (
	select e.id, e.project_id, e.type, e.payload, e.delivery_count, e.created_at
	from event_idempotency_keys k join events e on e.organization_id = k.organization_id and e.id = k.event_id
	where k.organization_id = g.organization_id and k.key = g.key
	limit 1
) e`;

function arrayLiteral(words: readonly string[]): string {
	return `{${words.map((word) => `"${word}"`).join(",")}}`;
}
