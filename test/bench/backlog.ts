import { toUuid } from "../../src/core/ids.ts";
import { until } from "../support/until.ts";
import type { Case, CaseInput } from "./case.ts";
import { median } from "./measure.ts";
import { addPending, addTenant, clear, endpointUrls, release, settleDown, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { measureUsage, sharesOf } from "./usage.ts";

const endpoints = 100;
const megabyte = 1024 * 1024;

type World = { server: BenchServer; tenant: Tenant; word: string };

/** Throughput and memory of two servers, one with a small backlog, refilled each round, and one with a huge one. */
export const backlog: Case = async (input) => {
	const { site, isQuick, say } = input;
	const [few, many] = isQuick ? [5_000, 100_000] : [10_000, 1_000_000];
	const small = await openWorld(input, "small");
	const huge = await openWorld(input, "huge");
	await addPending(huge.server, huge.tenant, { deliveries: many });
	await settleDown(huge.server);
	const rounds: { small: number; huge: number }[] = [];
	let limit = "";
	for (let round = 0; round <= (isQuick ? 3 : 6); round++) {
		await clear(small.server);
		await addPending(small.server, small.tenant, { deliveries: few * 1.5 });
		await settleDown(small.server);
		const ofSmall = await perSecond(input, small, few);
		const usage = await measureUsage(site, huge.server);
		const measured = { small: ofSmall, huge: await perSecond(input, huge, few) };
		limit = sharesOf(await usage.stop());
		say(
			`backlog: ${Math.round(measured.huge)}/s with ${many} pending, ${Math.round(measured.small)}/s with ${few}`,
		);
		if (round > 0) rounds.push(measured);
	}
	const ratio = median(rounds.map((round) => round.huge / round.small));
	const grownMb = ((await memory(huge)) - (await memory(small))) / megabyte;
	await small.server.stop();
	await huge.server.stop();
	return [
		{
			name: `backlog: throughput with ${many / 1000}k pending against ${few / 1000}k`,
			measured: `${Math.round(median(rounds.map((each) => each.huge)))}/s; ${Math.round(median(rounds.map((each) => each.small)))}/s`,
			ratio,
			goal: "≥ 0.8",
			isMet: ratio >= 0.8,
			limit,
		},
		{
			name: "backlog: growth of resident memory",
			measured: `${grownMb.toFixed(0)} MB`,
			ratio: null,
			goal: "≤ 100 MB",
			isMet: grownMb <= 100,
			limit: "",
		},
	];
};

async function openWorld({ site }: CaseInput, name: string): Promise<World> {
	const server = await site.openServer(`backlog_${name}`);
	const word = `backlog${name}`;
	const tenant = await addTenant(server, endpointUrls(site, word, endpoints));
	await clear(server);
	return { server, tenant, word };
}

/** Deliveries a second until so many have arrived; then the endpoints are held back again. */
async function perSecond({ site }: CaseInput, world: World, deliveries: number): Promise<number> {
	const { server, tenant, word } = world;
	await site.receiver.call("reset", word);
	const startedAt = performance.now();
	await release([server], [tenant]);
	await until(async () => (await site.receiver.call("count", word)) >= deliveries, {
		timeoutMs: 120_000,
		everyMs: 5,
	});
	const ms = performance.now() - startedAt;
	const arrived = await site.receiver.call("count", word);
	await server.sql("update webhook_endpoints set is_active = false where id = any ($1::uuid[])", [
		tenant.endpointIds.map(toUuid),
	]);
	await until(async () => (await held(server)) === 0, { timeoutMs: 60_000 });
	return (arrived / ms) * 1000;
}

async function held(server: BenchServer): Promise<number> {
	const rows = await server.sql(
		"select 1 from deliveries where state = 'pending' and lease_until is not null limit 1",
	);
	return rows.length;
}

async function memory({ server }: World): Promise<number> {
	await server.child.call("collectGarbage");
	return (await server.child.call("usage")).rssBytes;
}
