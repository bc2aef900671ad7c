import { fromUuid, toUuid } from "../../src/core/ids.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import { median } from "./measure.ts";
import { addTenant, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";

const perPage = 2;
const pages = 1_000;
const filters = ["", "&state=delivered", "&state=failed", "&state=pending", "&event_type=bench.three"];
const timed = ["&since", "&until"];

type World = {
	server: BenchServer;
	tenant: Tenant;
	path: string;
	/** The id in the middle of the history. */
	middle: string;
};

/** Lists of one endpoint's deliveries, each filter, the first page and the 1,000th, with a long history and a short one. */
export const history: Case = async (input) => {
	const { isQuick, say } = input;
	const [few, many] = isQuick ? [10_000, 200_000] : [10_000, 5_000_000];
	const short = await openWorld(input, "short", few);
	const long = await openWorld(input, "long", many);
	say(`history: ${many} rows are there`);
	const rows: Row[] = [];
	for (const filter of [...filters, ...timed]) {
		for (const page of [1, pages]) {
			const [ofShort, ofLong] = [await pageOf(short, filter, page), await pageOf(long, filter, page)];
			const times: { short: number; long: number }[] = [];
			for (let round = 0; round < (isQuick ? 20 : 60); round++) {
				const measured = { short: await timeOf(short, ofShort), long: await timeOf(long, ofLong) };
				if (round >= 10) times.push(measured);
			}
			const [fast, slow] = [median(times.map((each) => each.short)), median(times.map((each) => each.long))];
			rows.push({
				name: `history: ${filter === "" ? "no filter" : filter.slice(1)}, page ${page}`,
				measured: `${slow.toFixed(2)} ms; ${fast.toFixed(2)} ms`,
				ratio: slow / fast,
				goal: "≤ 2",
				isMet: slow / fast <= 2,
				limit: "",
			});
		}
	}
	await short.server.stop();
	await long.server.stop();
	return rows;
};

async function openWorld({ site }: CaseInput, name: string, deliveries: number): Promise<World> {
	const server = await site.openServer(`history_${name}`, { ROLE: "api" });
	const tenant = await addTenant(server, [site.urlOf("count/0")], name);
	const [endpointId] = tenant.endpointIds;
	const values = [toUuid(tenant.organizationId), toUuid(endpointId ?? ""), Math.min(deliveries, 250_000)];
	for (let made = 0; made < deliveries; made += 250_000) await server.sql(historySql, values);
	await server.sql("vacuum analyze deliveries, events");
	const path = `/v1/organizations/${tenant.organizationId}/webhook-endpoints/${endpointId}/deliveries`;
	return { server, tenant, path, middle: await middleId(server) };
}

/** The query of a page: the cursor of a later one is what walking there would have given. */
async function pageOf(world: World, filter: string, page: number): Promise<string> {
	const { server, tenant, middle } = world;
	const at = new Date(Number.parseInt(middle.replaceAll("-", "").slice(0, 12), 16)).toISOString();
	const query = timed.includes(filter) ? `${filter}=${encodeURIComponent(at)}` : filter;
	const first = `?limit=${perPage}${query}`;
	if (page === 1) return first;
	const where =
		{
			"": "",
			"&since": `and id >= '${middle}'`,
			"&until": `and id < '${middle}'`,
			"&event_type=bench.three": "and event_type = 'bench.three'",
		}[filter] ?? `and state = '${filter.split("=")[1]}'`;
	const [row] = await server.sql<{ id: string }>(
		`select id from deliveries where endpoint_id = $1 ${where} order by id desc offset $2 limit 1`,
		[toUuid(tenant.endpointIds[0] ?? ""), perPage * (page - 1) - 1],
	);
	if (!row) throw new Error(`There is no page ${page} of ${filter}.`);
	return `${first}&cursor=${Buffer.from(fromUuid("whd", row.id)).toString("base64url")}`;
}

async function middleId(server: BenchServer): Promise<string> {
	const [row] = await server.sql<{ id: string }>(
		"select id from deliveries order by id offset (select count(*) / 2 from deliveries) limit 1",
	);
	return row?.id ?? "";
}

async function timeOf({ server, tenant, path }: World, query: string): Promise<number> {
	const startedAt = performance.now();
	const { deliveries } = await server.call("GET", path + query, undefined, tenant.key);
	const ms = performance.now() - startedAt;
	if (deliveries.length !== perPage) throw new Error(`${query} gave ${deliveries.length} deliveries.`);
	return ms;
}

// Three fifths delivered, one failed, one pending and due only in a year; five types. Ids a few microseconds apart.
const historySql = `
with made as (
	select n, uuid_v7() as event_id, uuid_v7() as id from generate_series(1, $3::int) as n
), written as (
	insert into events (organization_id, id, type, payload, delivery_count, created_at)
	select $1::uuid, event_id, 'bench.sent', '{"id":"evt_00000000000000000000000000"}', 1, now() from made
)
insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts, max_attempts,
	next_attempt_at, created_at, updated_at)
select $1::uuid, id, $2::uuid, event_id, ('{bench.one,bench.two,bench.three,bench.four,bench.five}'::text[])[1 + n / 5 % 5],
	'event', (array['delivered', 'failed', 'pending', 'delivered', 'delivered'])[1 + n % 5], 1, 8,
	case when n % 5 = 2 then now() + interval '1 year' end, now(), now()
from made order by id`;
