import { type EndpointId, fromUuid, type OrganizationId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";

/** What waits to be sent. Past their bounds the counts are too small, and only that. */
export type DeliveryBacklog = {
	/** Endpoints with due deliveries; counted up to 10,000. */
	lanes: number;
	/** Due deliveries that nobody sends yet; counted up to 10,000. */
	due: number;
	/** How long the oldest of them has been due. */
	oldestSeconds: number;
};

/** An endpoint whose due deliveries nobody takes. */
export type OverdueLane = {
	endpointId: EndpointId;
	organizationId: OrganizationId;
	/** Counted up to 10,000. */
	due: number;
	oldestSeconds: number;
};

export function backlogStore(database: Database) {
	return {
		/** What it costs depends on neither the history nor the backlog: a scrape must not scan deliveries. */
		async read(): Promise<DeliveryBacklog> {
			const [row] = await database.prepared<DeliveryBacklog>("delivery_backlog", backlogSql, []);
			return row ?? { lanes: 0, due: 0, oldestSeconds: 0 };
		},

		/** Active endpoints with deliveries that are due for longer than that and not being sent, oldest first. */
		async listOverdue(seconds: number, limit: number): Promise<OverdueLane[]> {
			const rows = await database.prepared<OverdueRow>("list_overdue_lanes", overdueSql, [seconds, limit]);
			return rows.map(({ endpoint_id, organization_id, ...counted }) => ({
				endpointId: fromUuid("whe", endpoint_id),
				organizationId: fromUuid("org", organization_id),
				...counted,
			}));
		},
	};
}

// The oldest is looked for in the lanes that were not served for longest: claims serve those next. Rows that are
// being sent stand before it in a lane's index, no more than may be in flight for one endpoint.
const backlogSql = `
with due_lanes as (
	select endpoint_id, served_at from delivery_lanes where due_at <= clock_now() order by due_at limit 10000
), lanes as (
	select l.endpoint_id from due_lanes l join webhook_endpoints w on w.id = l.endpoint_id
	where w.is_active order by l.served_at limit 100
), oldest as (
	select min(d.next_attempt_at) as at from lanes l cross join lateral (
		select next_attempt_at from deliveries
		where endpoint_id = l.endpoint_id and state = 'pending' and next_attempt_at <= clock_now()
			and (lease_until is null or lease_until <= clock_now())
		order by next_attempt_at limit 1
	) d
), due as (
	select 1 from lanes l cross join lateral (
		select 1 from deliveries
		where endpoint_id = l.endpoint_id and state = 'pending' and next_attempt_at <= clock_now()
			and (lease_until is null or lease_until <= clock_now())
		limit 10000
	) d limit 10000
)
select (select count(*) from due_lanes)::int as lanes, (select count(*) from due)::int as due,
	coalesce(extract(epoch from clock_now() - oldest.at), 0)::float8 as "oldestSeconds"
from oldest`;

// By the deliveries and not by their lanes' marks, which may be what is lost.
const overdueSql = `
select w.id as endpoint_id, w.organization_id, d.due,
	extract(epoch from clock_now() - d.oldest)::float8 as "oldestSeconds"
from webhook_endpoints w cross join lateral (
	select count(*)::int as due, min(next_attempt_at) as oldest from (
		select next_attempt_at from deliveries
		where endpoint_id = w.id and state = 'pending'
			and next_attempt_at <= clock_now() - $1::float8 * interval '1 second'
			and (lease_until is null or lease_until <= clock_now())
		order by next_attempt_at limit 10000
	) overdue
) d
where w.is_active and d.due > 0 order by d.oldest limit $2::int`;

type OverdueRow = Pick<OverdueLane, "due" | "oldestSeconds"> & {
	endpoint_id: string;
	organization_id: string;
};
