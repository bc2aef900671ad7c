import { type EndpointId, toUuid } from "../../core/ids.ts";
import type { Database } from "../../platform/db.ts";

export function laneStore(database: Database) {
	return {
		/**
		 * Marks lanes as due now. Waits for a claim that has the lane at this moment, whose older view could
		 * otherwise put the lane to rest over deliveries it did not see.
		 */
		async markDue(endpointIds: readonly EndpointId[]): Promise<void> {
			await database.prepared("mark_lanes_due", markDueSql, [endpointIds.map(toUuid)]);
		},

		/**
		 * Finds the lanes whose mark was lost, by one step through the index of pending deliveries for each endpoint
		 * that has any. Returns how many there were.
		 */
		async sweep(): Promise<number> {
			const rows = await database.prepared("sweep_lanes", sweepSql, []);
			return rows.length;
		},
	};
}

const markDueSql = `
with locked as (
	select endpoint_id from delivery_lanes where endpoint_id = any ($1::uuid[]) order by endpoint_id for update
)
update delivery_lanes l set due_at = clock_now() from locked
where l.endpoint_id = locked.endpoint_id and (l.due_at is null or l.due_at > clock_now())`;

const sweepSql = `
with recursive waiting as (
	(select endpoint_id, next_attempt_at from deliveries where state = 'pending' order by endpoint_id, next_attempt_at limit 1)
	union all
	select d.endpoint_id, d.next_attempt_at from waiting w cross join lateral (
		select endpoint_id, next_attempt_at from deliveries
		where state = 'pending' and endpoint_id > w.endpoint_id
		order by endpoint_id, next_attempt_at limit 1
	) d
)
update delivery_lanes l set due_at = clock_now()
from waiting w, webhook_endpoints e
where l.endpoint_id = w.endpoint_id and e.id = w.endpoint_id and e.is_active
	and w.next_attempt_at <= clock_now() and (l.due_at is null or l.due_at > w.next_attempt_at)
	and not exists (select 1 from deliveries d
		where d.endpoint_id = w.endpoint_id and d.state = 'pending' and d.next_attempt_at <= clock_now()
			and d.lease_until > clock_now())
returning l.endpoint_id`;
