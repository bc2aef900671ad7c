import { type EndpointId, type OrganizationId, toUuid } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";

type Endpoint = { id: EndpointId; organizationId: OrganizationId };

/** Deliveries that a person may ask for in any minute, an endpoint. */
const askedMax = 60;

export function byHandStore(database: Database) {
	return {
		/**
		 * Counts a delivery that a person asks for. Null when it may be made, else the milliseconds until the next
		 * one may be. Exact over all replicas: the endpoint's row is held until the transaction ends.
		 */
		async take({ id, organizationId }: Endpoint): Promise<number | null> {
			const values = [toUuid(id), toUuid(organizationId), askedMax];
			const taken = await database.prepared("take_by_hand", takeSql, values);
			if (taken.length > 0) return null;
			const [row] = await database.prepared<{ ms: number }>("wait_by_hand", waitSql, [toUuid(id)]);
			return Math.max(0, row?.ms ?? 0);
		},
	};
}

const takeSql = `
insert into deliveries_by_hand as h (endpoint_id, organization_id, asked_at) values ($1, $2, array[clock_now()])
on conflict (endpoint_id) do update set asked_at = clock_now() || array(
	select moment from unnest(h.asked_at) as moment where moment > clock_now() - interval '1 minute')
where (select count(*) from unnest(h.asked_at) as moment where moment > clock_now() - interval '1 minute') < $3::int
returning 1`;

const waitSql = `
select (extract(epoch from min(moment) + interval '1 minute' - clock_now()) * 1000)::float8 as ms
from deliveries_by_hand h, unnest(h.asked_at) as moment
where h.endpoint_id = $1 and moment > clock_now() - interval '1 minute'`;
