import { type EndpointId, toUuid } from "../../core/ids.ts";
import type { Database } from "../../platform/db.ts";

export function laneStore(database: Database) {
	return {
		/**
		 * Marks lanes as due now. Waits for a claim that has the lane at this moment, whose older view could
		 * otherwise put the lane to rest over deliveries it did not see. Writes a lane that is due already, too: a
		 * claim that comes to its lock with an older view knows by this that it does not see all.
		 */
		async markDue(endpointIds: readonly EndpointId[]): Promise<void> {
			await database.prepared("mark_lanes_due", markDueSql, [endpointIds.map(toUuid)]);
		},

		/**
		 * Finds the lanes whose mark was lost, by one step through the index of pending deliveries for each endpoint
		 * that has any; of inactive endpoints through that of tests. Returns how many there were.
		 */
		async sweep(): Promise<number> {
			const rows = await database.prepared("sweep_lanes", sweepSql, []);
			return rows.length;
		},
	};
}

const onlyTests = "and origin = 'test'";

/** Walks from endpoint to endpoint: the first of the pending deliveries of each. */
const firstOf = (walk: string, rows: string) => `
	(select endpoint_id, next_attempt_at from deliveries where state = 'pending' ${rows}
	order by endpoint_id, next_attempt_at limit 1)
	union all
	select d.endpoint_id, d.next_attempt_at from ${walk} w cross join lateral (
		select endpoint_id, next_attempt_at from deliveries
		where state = 'pending' and endpoint_id > w.endpoint_id ${rows}
		order by endpoint_id, next_attempt_at limit 1
	) d`;

const noneIsSent = (rows: string) => `not exists (
		select 1 from deliveries
		where endpoint_id = r.endpoint_id and state = 'pending' and next_attempt_at <= clock_now()
			and lease_until > clock_now() ${rows})`;

const markDueSql = `
with locked as (
	select endpoint_id from delivery_lanes where endpoint_id = any ($1::uuid[]) order by endpoint_id for update
)
update delivery_lanes l set due_at = least(l.due_at, clock_now()) from locked
where l.endpoint_id = locked.endpoint_id`;

// Each step of the walk looks its endpoint and its lane up by their keys: joined, they would be gone through for each.
// What is found is kept as rows, and joined to be locked: of a lane that a claim changes meanwhile Postgres judges its
// row again, and with `in (select …)` would walk anew for each.
const sweepSql = `
with recursive waiting as (${firstOf("waiting", "")}
), waiting_tests as (${firstOf("waiting_tests", onlyTests)}
), resting as materialized (
	select * from (select *, true as is_active from waiting union all select *, false from waiting_tests) w
	where next_attempt_at <= clock_now()
		and is_active = (select is_active from webhook_endpoints where id = w.endpoint_id)
		and (select due_at is null or due_at > w.next_attempt_at from delivery_lanes where endpoint_id = w.endpoint_id)
), lost as materialized (
	select endpoint_id from resting r where is_active and ${noneIsSent("")}
	union all
	select endpoint_id from resting r where not is_active and ${noneIsSent(onlyTests)}
), locked as (
	select l.endpoint_id from lost join delivery_lanes l on l.endpoint_id = lost.endpoint_id
	order by l.endpoint_id for update of l
)
update delivery_lanes l set due_at = clock_now()
from locked k where l.endpoint_id = k.endpoint_id
returning l.endpoint_id`;
