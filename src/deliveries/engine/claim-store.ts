import {
	type DeliveryId,
	type EndpointId,
	type EventId,
	fromUuid,
	type OrganizationId,
	toUuid,
} from "../../core/ids.ts";
import type { Database } from "../../platform/db.ts";
import { attemptsMax, ourLosses } from "./verdict.ts";

/** A delivery that this process holds until its lease runs out, with all that is needed to send it. */
export type ClaimedDelivery = {
	id: DeliveryId;
	organizationId: OrganizationId;
	endpointId: EndpointId;
	eventId: EventId;
	eventType: string;
	claimId: string;
	/** This attempt's number. */
	attempts: number;
	maxAttempts: number;
	/** Null when the event was erased or dropped by retention. */
	payload: string | null;
	url: string;
	headers: Record<string, string>;
	/** Sealed. */
	secretHeaders: string | null;
	/** Sealed, the current one first, each with the id of its row. */
	secrets: { id: string; sealed: string }[];
};

export type ClaimLimits = {
	/** About how many rows to take in all. */
	rows: number;
	/** How many lanes to look at. */
	lanes: number;
	/** In flight for one endpoint at most. */
	endpointMax: number;
	/** Endpoints with some in flight already, and how many more each may take. */
	busy: { endpointId: EndpointId; free: number }[];
	/** Organizations that hold their share already. */
	fullOrganizations: OrganizationId[];
	leaseMs: number;
};

export function claimStore(database: Database) {
	return {
		/**
		 * Takes due deliveries, fairly: organizations take turns, then their endpoints, in the order they were last
		 * served. What it costs depends on the lanes looked at, not on what waits behind them. An expired lease is
		 * taken over: its attempt is closed as `unknown`, and does not count against the schedule.
		 */
		async claim(claimId: string, limits: ClaimLimits): Promise<ClaimedDelivery[]> {
			const rows = await database.prepared<ClaimedRow>("claim_deliveries", claimSql, [
				claimId,
				limits.rows,
				limits.lanes,
				limits.endpointMax,
				limits.busy.map((lane) => toUuid(lane.endpointId)),
				limits.busy.map((lane) => lane.free),
				limits.fullOrganizations.map(toUuid),
				limits.leaseMs,
			]);
			return rows.map((row) => fromRow(row, claimId));
		},

		/** Milliseconds until a lane that rests now is due; null when none will be by itself. */
		async nextDueInMs(): Promise<number | null> {
			const [row] = await database.prepared<{ ms: number | null }>(
				"next_due_lane",
				`select (extract(epoch from min(due_at) - clock_now()) * 1000)::float8 as ms
				from delivery_lanes where due_at > clock_now()`,
				[],
			);
			return row?.ms ?? null;
		},

		/** Ends claimed deliveries that have nothing left to send: their event was erased or dropped. No attempt is used. */
		async expire(deliveries: readonly ClaimedDelivery[]): Promise<void> {
			await database.prepared("expire_deliveries", expireSql, [
				deliveries.map((delivery) => toUuid(delivery.organizationId)),
				deliveries.map((delivery) => toUuid(delivery.id)),
				deliveries.map((delivery) => delivery.claimId),
			]);
		},

		/** Gives claimed deliveries back: the attempt was never made. None is due before the time given has passed. */
		async release(deliveries: readonly ClaimedDelivery[], waitMs = 0): Promise<void> {
			if (deliveries.length === 0) return;
			await database.prepared("release_deliveries", releaseSql, [
				deliveries.map((delivery) => toUuid(delivery.organizationId)),
				deliveries.map((delivery) => toUuid(delivery.id)),
				deliveries.map((delivery) => delivery.claimId),
				waitMs,
			]);
		},
	};
}

const onlyTests = "and origin = 'test'";

/** The first due rows of each lane whose endpoint is one or the other. */
const dueOf = (endpoints: string, rows: string) => `
	select d.*, a.url, a.headers, a.secret_headers, a.secrets
	from (select * from allowed where ${endpoints}) a cross join lateral (
		select organization_id, id, endpoint_id, attempts, claim_id as lost_claim, updated_at as lost_at
		from deliveries
		where endpoint_id = a.endpoint_id and state = 'pending' and next_attempt_at <= clock_now()
			and (lease_until is null or lease_until <= clock_now()) ${rows}
		order by next_attempt_at
		limit a.free
		for update skip locked
	) d`;

/** When a lane of which all due rows are taken may next have one: the end of the first lease, the first later row. */
const laterOf = (rows: string) => `
	(select min(lease_until) from deliveries
		where endpoint_id = l.endpoint_id and state = 'pending' and next_attempt_at <= clock_now()
			and lease_until > clock_now() ${rows}),
	(select next_attempt_at from deliveries
		where endpoint_id = l.endpoint_id and state = 'pending' and next_attempt_at > clock_now() ${rows}
		order by next_attempt_at limit 1)`;

// `turn` ranks the due lanes within their organization, so that a thousand lanes of one organization stand behind
// the first lane of every other. A lane from which fewer rows came than it was allowed has nothing more that is
// due: its next time is the first row that becomes due, or the end of the first lease. Of an inactive endpoint only
// tests count, in both, and are found by an index of their own: whatever else waits for it is not looked at. A lane
// that others wrote after this statement took its view of the rows, and before it locked the lane, may hold rows that
// this statement cannot see: such a lane (its row has another `ctid` than in the view) keeps the time it has. An
// endpoint's address, headers and secrets are read once for its lane, not for each row. `is true` keeps the planner from
// finding a candidate's lane by its time, among all that are due, instead of by its key.
const claimSql = `
with candidates as (
	select endpoint_id, served_at, ctid as seen,
		row_number() over (partition by organization_id order by served_at, endpoint_id) as turn
	from delivery_lanes
	where due_at <= clock_now() and not exists (select from delivery_pause) and organization_id <> all ($7::uuid[]) and endpoint_id not in (
		select b.endpoint_id from unnest($5::uuid[], $6::int[]) as b(endpoint_id, free) where b.free <= 0)
	order by turn, served_at
	limit $3::int
), lanes as (
	select l.endpoint_id, c.turn, c.served_at, l.ctid <> c.seen as is_changed
	from candidates c join delivery_lanes l on l.endpoint_id = c.endpoint_id
	where (l.due_at <= clock_now()) is true
	order by c.turn, c.served_at
	for update of l skip locked
), allowed as (
	select l.endpoint_id, l.is_changed, w.is_active, w.url, w.headers, w.secret_headers,
		(select string_agg(id || ' ' || secret, e'\\n' order by expires_at desc nulls first) from endpoint_secrets
			where endpoint_id = l.endpoint_id and (expires_at is null or expires_at > clock_now())) as secrets,
		least(coalesce(($6::int[])[array_position($5::uuid[], l.endpoint_id)], $4::int),
			ceil($2::numeric / greatest(1, (select count(*) from lanes)))::int) as free
	from lanes l
	join webhook_endpoints w on w.id = l.endpoint_id
), picked as (
	${dueOf("is_active", "")}
	union all
	${dueOf("not is_active", onlyTests)}
), lost as (
	insert into delivery_attempts (organization_id, id, endpoint_id, delivery_id, number, at, duration_ms, error_code, error)
	select organization_id, uuid_v7(), endpoint_id, id, attempts, lost_at, 0, 'unknown',
		'${ourLosses.stopped}'
	from picked where lost_claim is not null
), served as (
	update delivery_lanes l set
		served_at = clock_timestamp(),
		due_at = case when a.taken >= a.free or a.is_changed then l.due_at else least(
			case when a.taken > 0 then clock_now() + $8::float8 * interval '1 millisecond' end,
			case when a.is_active then least(${laterOf("")}) else least(${laterOf(onlyTests)}) end
		) end
	from (
		select *, coalesce(cardinality(array_positions((select array_agg(endpoint_id) from picked), endpoint_id)), 0)
			as taken
		from allowed
	) a
	where l.endpoint_id = a.endpoint_id
), claimed as (
	update deliveries d set
		attempts = d.attempts + 1,
		max_attempts = case when p.lost_claim is null then d.max_attempts else least(d.max_attempts + 1, ${attemptsMax}) end,
		claim_id = $1::uuid,
		lease_until = clock_now() + $8::float8 * interval '1 millisecond',
		updated_at = clock_now()
	from picked p
	where d.organization_id = p.organization_id and d.id = p.id
	returning d.organization_id, d.id, d.endpoint_id, d.event_id, d.event_type, d.attempts, d.max_attempts,
		p.url, p.headers, p.secret_headers, p.secrets
)
select c.*, e.payload
from claimed c
left join events e on e.organization_id = c.organization_id and e.id = c.event_id`;

const expireSql = `
update deliveries d set state = 'failed', attempts = d.attempts - 1, next_attempt_at = null, claim_id = null,
	lease_until = null, error_code = 'expired', updated_at = clock_now(),
	last_error = case
		when exists (select from events e where e.organization_id = d.organization_id and e.id = d.event_id)
			then 'The event''s payload was erased before it was delivered.'
		else 'The event is older than its retention, so there is nothing left to send.' end
from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as g(organization_id, id, claim_id)
where d.organization_id = g.organization_id and d.id = g.id and d.claim_id = g.claim_id and d.state = 'pending'`;

const releaseSql = `
with given as (
	select * from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as g(organization_id, id, claim_id)
), released as (
	update deliveries d set attempts = d.attempts - 1, claim_id = null, lease_until = null, updated_at = clock_now(),
		next_attempt_at = case when $4::float8 = 0 then d.next_attempt_at
			else clock_now() + $4::float8 * interval '1 millisecond' end
	from given g
	where d.organization_id = g.organization_id and d.id = g.id and d.claim_id = g.claim_id and d.state = 'pending'
	returning d.endpoint_id
), locked as (
	select l.endpoint_id from (select distinct endpoint_id from released) r
	join delivery_lanes l on l.endpoint_id = r.endpoint_id
	order by l.endpoint_id for update of l
)
update delivery_lanes l set due_at = least(l.due_at, clock_now() + $4::float8 * interval '1 millisecond')
from locked k where l.endpoint_id = k.endpoint_id`;

type ClaimedRow = {
	organization_id: string;
	id: string;
	endpoint_id: string;
	event_id: string;
	event_type: string;
	attempts: number;
	max_attempts: number;
	payload: string | null;
	url: string;
	headers: Record<string, string>;
	secret_headers: string | null;
	/** A line each: the id of its row, and the sealed secret. */
	secrets: string | null;
};

function fromRow(row: ClaimedRow, claimId: string): ClaimedDelivery {
	return {
		id: fromUuid("whd", row.id),
		organizationId: fromUuid("org", row.organization_id),
		endpointId: fromUuid("whe", row.endpoint_id),
		eventId: fromUuid("evt", row.event_id),
		eventType: row.event_type,
		claimId,
		attempts: row.attempts,
		maxAttempts: row.max_attempts,
		payload: row.payload,
		url: row.url,
		headers: row.headers,
		secretHeaders: row.secret_headers,
		secrets: (row.secrets?.split("\n") ?? []).map((text) => {
			const [uuid = "", sealed = ""] = text.split(" ");
			return { id: fromUuid("src", uuid), sealed };
		}),
	};
}
