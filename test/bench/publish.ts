import pg from "pg";
import { fromUuid, newId, toUuid } from "../../src/core/ids.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import { median } from "./measure.ts";
import { addTenant, payloadOf, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";

const ways = [
	{ name: "single", batch: 1, events: 5_000 },
	{ name: "batched", batch: 500, events: 50_000 },
];
const parallel = 10;

/** Events a second through the API, one endpoint each, against a bare INSERT of the same rows in the same batches. */
export const publish: Case = async (input) => {
	const { site, isQuick, only, say } = input;
	// Deliveries are not this case's: no replica sends them.
	const server = await site.openServer("publish", { ROLE: "api" });
	const tenant = await addTenant(server, [site.urlOf("count/0")]);
	const rows: Row[] = [];
	for (const way of ways.filter(({ name }) => only.length === 0 || only.includes(name))) {
		const events = isQuick ? way.events / 5 : way.events;
		const rounds: { bare: number; ours: number }[] = [];
		for (let round = 0; round <= (isQuick ? 2 : 4); round++) {
			const bare = await insertBare(server, tenant, events, way.batch);
			const ours = await publishAll(input, server, tenant, events, way.batch);
			say(`publish ${way.name}: ${Math.round(ours)} events/s, bare INSERT ${Math.round(bare)}/s`);
			if (round > 0) rounds.push({ bare, ours });
			await server.sql("truncate events, deliveries");
		}
		const ratio = median(rounds.map(({ ours, bare }) => ours / bare));
		const ours = Math.round(median(rounds.map((round) => round.ours)));
		const bare = Math.round(median(rounds.map((round) => round.bare)));
		rows.push({
			name: `publish ${way.name}${way.batch > 1 ? ` (${way.batch})` : ""}`,
			measured: `${ours} events/s; bare INSERT ${bare}/s`,
			ratio,
			goal: "≥ 0.5",
			isMet: ratio >= 0.5,
			limit: "",
		});
	}
	await server.stop();
	return rows;
};

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
