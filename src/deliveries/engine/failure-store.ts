import {
	type DeliveryId,
	type EndpointId,
	fromUuid,
	type OrganizationId,
	type ProjectId,
	toUuid,
} from "../../core/ids.ts";
import type { Database } from "../../platform/db.ts";
import type { AttemptResult } from "./settle-store.ts";
import { ourLosses } from "./verdict.ts";

/** An endpoint as its operational events show it. */
export type FailedEndpoint = {
	id: EndpointId;
	organizationId: OrganizationId;
	projectId: ProjectId | null;
	url: string;
	name: string | null;
};

export type DisabledEndpoint = FailedEndpoint & { reason: "gone" | "failing"; disabledReason: string };

/** Deliveries of one endpoint that have failed for good since it was last told. */
export type Exhaustion = FailedEndpoint & {
	count: number;
	firstDeliveryId: DeliveryId;
	lastDeliveryId: DeliveryId;
};

/**
 * Of how many endpoints one transaction tells: an organization may have a thousand, each of which hears of each. More
 * would be beyond what a statement may take, and be tried in vain for ever.
 */
const exhaustionsMax = 20;

export function failureStore(database: Database) {
	return {
		/** Disables the endpoints that answered 410, unless they have another URL by now. */
		async disableGone(gone: readonly { endpointId: EndpointId; url: string }[]): Promise<DisabledEndpoint[]> {
			const rows = await database.prepared<DisabledRow>("disable_gone_endpoints", disableGoneSql, [
				gone.map(({ endpointId }) => toUuid(endpointId)),
				gone.map(({ url }) => url),
			]);
			return rows.map((row) => ({ ...endpointOf(row), reason: "gone", disabledReason: row.disabled_reason }));
		},

		/**
		 * Disables those of the endpoints that have failed for too long: first failure at least 5 days ago, no success
		 * since, at least 10 failed attempts on at least 2 events.
		 */
		async disableFailing(endpointIds: readonly EndpointId[]): Promise<DisabledEndpoint[]> {
			const values = [endpointIds.map(toUuid)];
			const rows = await database.prepared<DisabledRow>(
				"disable_failing_endpoints",
				disableFailingSql,
				values,
			);
			return rows.map((row) => ({
				...endpointOf(row),
				reason: "failing",
				disabledReason: row.disabled_reason,
			}));
		},

		/** Counts the results that ended their deliveries as failed; one whose claim was lost ended nothing. */
		async countExhausted(results: readonly AttemptResult[]): Promise<void> {
			await database.prepared("count_exhausted", countExhaustedSql, [
				results.map(({ delivery }) => toUuid(delivery.organizationId)),
				results.map(({ delivery }) => toUuid(delivery.id)),
				results.map(({ delivery }) => delivery.attempts),
			]);
		},

		/** Takes what may be told now of these endpoints: of each at most once an hour, and of so many at once. */
		async takeExhaustionsOf(endpointIds: readonly EndpointId[]): Promise<Exhaustion[]> {
			const values = [endpointIds.map(toUuid)];
			const rows = await database.prepared<ExhaustionRow>("take_own_exhaustions", takeOwnSql, values);
			return rows.map(exhaustionOf);
		},

		/** The same of any endpoint: first those that were never told of, then those longest ago. */
		async takeExhaustions(): Promise<Exhaustion[]> {
			const rows = await database.prepared<ExhaustionRow>("take_exhaustions", takeAnySql, []);
			return rows.map(exhaustionOf);
		},
	};
}

const shown = "w.id, w.organization_id, w.project_id, w.url, w.name, w.disabled_reason";

const disableGoneSql = `
update webhook_endpoints w set is_active = false, disabled_reason = 'The receiver answered 410 Gone.',
	updated_at = clock_now()
from unnest($1::uuid[], $2::text[]) as gone(endpoint_id, url)
where w.id = gone.endpoint_id and w.url = gone.url and w.is_active
returning ${shown}`;

// The rows of health name the few endpoints that are worth a look at their attempts. However long their history, and
// whatever it holds, only so many deliveries are looked at: the newest that failed, and of the pending ones those
// whose next attempt is furthest away, for what was never tried is due already. An attempt that we lost ourselves says
// nothing of the receiver.
const disableFailingSql = `
with failing as (
	select endpoint_id, failing_since from endpoint_health
	where endpoint_id = any ($1::uuid[]) and consecutive_failures >= 10
		and failing_since <= clock_now() - interval '5 days'
), worn_out as (
	select f.endpoint_id, f.failing_since from failing f cross join lateral (
		select count(*) as attempts, count(distinct event_id) as events from (
			select d.event_id from (
				(select id, event_id, error_code, updated_at from deliveries
					where endpoint_id = f.endpoint_id and state = 'failed' order by id desc limit 200)
				union all
				(select id, event_id, error_code, updated_at from deliveries
					where endpoint_id = f.endpoint_id and state = 'pending' order by next_attempt_at desc limit 200)
			) d join delivery_attempts a on a.delivery_id = d.id
			where d.error_code is not null and d.updated_at >= f.failing_since and a.at >= f.failing_since
				and a.error_code is not null and a.error not in ('${ourLosses.stopped}', '${ourLosses.givenUp}')
			limit 1000
		) failed
	) counted where counted.attempts >= 10 and counted.events >= 2
)
update webhook_endpoints w set is_active = false, updated_at = clock_now(),
	disabled_reason = 'Every attempt since ' || to_char(o.failing_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
		|| ' failed.'
from worn_out o where w.id = o.endpoint_id and w.is_active
returning ${shown}`;

const countExhaustedSql = `
with ended as (
	select d.organization_id, d.endpoint_id, d.id, r.place
	from unnest($1::uuid[], $2::uuid[], $3::int[]) with ordinality as r(organization_id, id, number, place)
	join deliveries d on d.organization_id = r.organization_id and d.id = r.id and d.state = 'failed'
		and d.attempts = r.number
)
insert into delivery_exhaustions as x (organization_id, endpoint_id, count, first_delivery_id, last_delivery_id)
select w.organization_id, w.id, count(*), (array_agg(e.id order by e.place))[1], (array_agg(e.id order by e.place desc))[1]
from ended e join webhook_endpoints w on w.id = e.endpoint_id
group by w.organization_id, w.id order by w.id
on conflict (endpoint_id) do update set count = x.count + excluded.count,
	first_delivery_id = case when x.count = 0 then excluded.first_delivery_id else x.first_delivery_id end,
	last_delivery_id = excluded.last_delivery_id`;

const takenOf = (due: string) => `
with due as (${due}), told as (
	update delivery_exhaustions x set count = 0, told_at = clock_now() from due where x.endpoint_id = due.endpoint_id
)
select ${shown}, due.count, due.first_delivery_id, due.last_delivery_id
from due join webhook_endpoints w on w.id = due.endpoint_id`;

const takeOwnSql = takenOf(`
	select * from delivery_exhaustions
	where endpoint_id = any ($1::uuid[]) and count > 0
		and (told_at is null or told_at <= clock_now() - interval '1 hour')
	limit ${exhaustionsMax} for update skip locked`);

// Each half in the order of the index, so that neither reads what may not be told yet.
const takeAnySql = takenOf(`
	select * from (
		select * from delivery_exhaustions where count > 0 and told_at is null
		limit ${exhaustionsMax} for update skip locked
	) never
	union all
	select * from (
		select * from delivery_exhaustions where count > 0 and told_at <= clock_now() - interval '1 hour'
		order by told_at limit ${exhaustionsMax} for update skip locked
	) earlier
	limit ${exhaustionsMax}`);

type EndpointRow = {
	id: string;
	organization_id: string;
	project_id: string | null;
	url: string;
	name: string | null;
};
type DisabledRow = EndpointRow & { disabled_reason: string };
type ExhaustionRow = EndpointRow & { count: number; first_delivery_id: string; last_delivery_id: string };

function exhaustionOf(row: ExhaustionRow): Exhaustion {
	return {
		...endpointOf(row),
		count: row.count,
		firstDeliveryId: fromUuid("whd", row.first_delivery_id),
		lastDeliveryId: fromUuid("whd", row.last_delivery_id),
	};
}

function endpointOf(row: EndpointRow): FailedEndpoint {
	return {
		id: fromUuid("whe", row.id),
		organizationId: fromUuid("org", row.organization_id),
		projectId: row.project_id === null ? null : fromUuid("prj", row.project_id),
		url: row.url,
		name: row.name,
	};
}
