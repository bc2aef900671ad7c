import pg from "pg";
import { fromUuid, newId, toUuid } from "../../src/core/ids.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import { median } from "./measure.ts";
import { addTenant, payloadOf, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { costOf, measureUsage, sharesOf } from "./usage.ts";

const ways = [
	{ name: "single", batch: 1, events: 5_000 },
	{ name: "batched", batch: 500, events: 50_000 },
];
type Way = (typeof ways)[number];

const parallel = 10;

/** Events a second through the API, one endpoint each, against a bare INSERT of the same rows in the same batches. */
export const publish: Case = async (input) => {
	// Deliveries are not this case's: no replica sends them.
	const server = await input.site.openServer("publish", { ROLE: "api" });
	const tenant = await addTenant(server, [input.site.urlOf("count/0")]);
	const rows: Row[] = [];
	for (const way of ways.filter(({ name }) => input.only.length === 0 || input.only.includes(name))) {
		rows.push(await compare(input, server, tenant, way));
	}
	await server.stop();
	return rows;
};

async function compare(input: CaseInput, server: BenchServer, tenant: Tenant, way: Way): Promise<Row> {
	const { site, isQuick, say } = input;
	const events = isQuick ? way.events / 5 : way.events;
	const rounds: { bare: number; ours: number }[] = [];
	let limit = "";
	for (let round = 0; round <= (isQuick ? 2 : 4); round++) {
		const bare = await insertBare(server, tenant, events, way.batch);
		const usage = await measureUsage(site, server);
		const ours = await publishAll(input, server, tenant, events, way.batch);
		const used = await usage.stop();
		limit = `${costOf(used, events)}; ${sharesOf(used)}`;
		say(`publish ${way.name}: ${Math.round(ours)} events/s, bare INSERT ${Math.round(bare)}/s; ${limit}`);
		if (round > 0) rounds.push({ bare, ours });
		await server.sql("truncate events, deliveries");
	}
	const ratio = median(rounds.map(({ ours, bare }) => ours / bare));
	const ours = Math.round(median(rounds.map((round) => round.ours)));
	const bare = Math.round(median(rounds.map((round) => round.bare)));
	return {
		name: `publish ${way.name}${way.batch > 1 ? ` (${way.batch})` : ""}`,
		measured: `${ours} events/s; bare INSERT ${bare}/s`,
		ratio,
		goal: "≥ 0.5",
		isMet: ratio >= 0.5,
		limit,
	};
}

async function publishAll(
	{ site }: CaseInput,
	server: BenchServer,
	{ organizationId, key }: Tenant,
	events: number,
	batch: number,
): Promise<number> {
	const target = { url: server.url, organizationId, key };
	return (events / (await site.load.call("flood", { ...target, events, batch, parallel }))) * 1000;
}

/** An event's row and its delivery's, in one prepared statement, on as many connections. */
async function insertBare(
	server: BenchServer,
	tenant: Tenant,
	events: number,
	batch: number,
): Promise<number> {
	const clients = Array.from({ length: parallel }, () => new pg.Client(server.databaseUrl));
	for (const client of clients) await client.connect();
	let left = events / batch;
	const payload = payloadOf(1024);
	const line = async (client: pg.Client) => {
		while (left-- > 0) {
			const ids = Array.from({ length: batch }, () => [newId("evt"), newId("whd")].map(toUuid));
			await client.query({
				name: "bare",
				text: bareSql,
				values: [
					toUuid(tenant.organizationId),
					toUuid(tenant.endpointIds[0] ?? fromUuid("whe", "0".repeat(32))),
					ids.map(([eventId]) => eventId),
					ids.map(([, deliveryId]) => deliveryId),
					ids.map(() => payload),
				],
			});
		}
	};
	const startedAt = performance.now();
	await Promise.all(clients.map(line));
	const ms = performance.now() - startedAt;
	await Promise.all(clients.map((client) => client.end()));
	return (events / ms) * 1000;
}

const bareSql = `
with given as (
	select * from unnest($3::uuid[], $4::uuid[], $5::text[]) as g(event_id, delivery_id, payload)
), written as (
	insert into events (organization_id, id, type, payload, delivery_count, created_at)
	select $1::uuid, event_id, 'bench.sent', payload, 1, now() from given
)
insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts, max_attempts,
	next_attempt_at, created_at, updated_at)
select $1::uuid, delivery_id, $2::uuid, event_id, 'bench.sent', 'event', 'pending', 0, 8, now(), now(), now() from given`;
