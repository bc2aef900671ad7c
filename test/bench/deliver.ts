import { until } from "../support/until.ts";
import type { Case, Row } from "./case.ts";
import { measureLocks } from "./locks.ts";
import { median, postgresCpuMs } from "./measure.ts";
import {
	addPending,
	addTenant,
	clear,
	endpointUrls,
	payloadOf,
	release,
	settleDown,
	type Tenant,
} from "./seed.ts";
import type { BenchServer, Site } from "./site.ts";

type Load = {
	name: string;
	title: string;
	endpoints: number;
	organizations: number;
	fanOut: number;
	goal: number;
};

const loads: Load[] = [
	{ name: "a", title: "one endpoint", endpoints: 1, organizations: 1, fanOut: 1, goal: 0.55 },
	{ name: "b", title: "1,000 endpoints", endpoints: 1000, organizations: 10, fanOut: 1, goal: 0.45 },
	{ name: "c", title: "3 endpoints an event", endpoints: 3, organizations: 1, fanOut: 3, goal: 0.45 },
];

const endpointConcurrency = 20;
const concurrency = 256;

/** Deliveries a second, recorded, against the same signed POSTs with nothing recorded. */
export const deliver: Case = async ({ site, isQuick, only, say }) => {
	const deliveries = isQuick ? 9_900 : 49_800;
	const rounds = isQuick ? 3 : 5;
	const server = await site.openServer("deliver");
	const rows: Row[] = [];
	for (const load of loads.filter((each) => only.length === 0 || only.includes(each.name))) {
		const tenants = await addTenants(site, server, load);
		const ratios: Measured[] = [];
		for (let round = 0; round <= rounds; round++) {
			const ceiling = await runBare(site, load, deliveries);
			const ours = await runEngine(site, server, tenants, load, deliveries);
			say(
				`deliver ${load.name}: ${round === 0 ? "warm-up" : `round ${round}`}: ${Math.round(ours.perSecond)}/s, ceiling ${Math.round(ceiling)}/s, ${ours.note}`,
			);
			// The first warms both up: just-in-time code, connections, plans.
			if (round > 0) ratios.push({ ...ours, ceiling });
		}
		rows.push(rowOf(load, ratios));
	}
	await server.stop();
	return rows;
};

type Run = { perSecond: number; note: string };
type Measured = Run & { ceiling: number };

function rowOf(load: Load, rounds: Measured[]): Row {
	const ratio = median(rounds.map((round) => round.perSecond / round.ceiling));
	const middle = rounds.toSorted((a, b) => a.perSecond - b.perSecond)[Math.floor(rounds.length / 2)];
	return {
		name: `deliver (${load.name}) ${load.title}`,
		measured: `${Math.round(median(rounds.map((round) => round.perSecond)))}/s; ceiling ${Math.round(median(rounds.map((round) => round.ceiling)))}/s`,
		ratio,
		goal: `≥ ${load.goal}`,
		isMet: ratio >= load.goal,
		limit: middle?.note ?? "",
	};
}

async function addTenants(site: Site, server: BenchServer, load: Load): Promise<Tenant[]> {
	const urls = endpointUrls(site, "count", load.endpoints);
	const each = load.endpoints / load.organizations;
	const tenants: Tenant[] = [];
	for (let at = 0; at < load.organizations; at++) {
		tenants.push(
			await addTenant(server, urls.slice(at * each, (at + 1) * each), `deliver-${load.name}-${at}`),
		);
	}
	return tenants;
}

async function runBare(site: Site, load: Load, requests: number): Promise<number> {
	const { ms } = await site.bare.call("run", {
		urls: endpointUrls(site, "bare", load.endpoints),
		requests,
		concurrency: Math.min(concurrency, load.endpoints * endpointConcurrency),
		body: payloadOf(1024),
		through: "sender",
	});
	return (requests / ms) * 1000;
}

/** From the wake to the last result written. */
async function runEngine(
	site: Site,
	server: BenchServer,
	tenants: Tenant[],
	load: Load,
	deliveries: number,
): Promise<Run> {
	await clear(server);
	for (const tenant of tenants) {
		await addPending(server, tenant, { deliveries: deliveries / tenants.length, fanOut: load.fanOut });
	}
	await settleDown(server);
	await site.receiver.call("reset", "count");
	const [engine, receiver] = [await server.child.call("usage"), await site.receiver.call("cpuMs")];
	const postgres = postgresCpuMs(site.postmasterPid) ?? Number.NaN;
	const locks = measureLocks(server);
	const startedAt = performance.now();
	await release(server, tenants);
	await until(async () => (await site.receiver.call("count", "count")) >= deliveries, {
		timeoutMs: 120_000,
		everyMs: 10,
	});
	await until(async () => (await pendingLeft(server)) === 0, { timeoutMs: 30_000, everyMs: 5 });
	const ms = performance.now() - startedAt;
	const waits = await locks.stop();
	const used = (await server.child.call("usage")).cpuMs - engine.cpuMs;
	const received = (await site.receiver.call("cpuMs")) - receiver;
	const stored = (postgresCpuMs(site.postmasterPid) ?? Number.NaN) - postgres;
	const perDelivery = (cpuMs: number) => `${((cpuMs * 1000) / deliveries).toFixed(0)} µs`;
	return {
		perSecond: (deliveries / ms) * 1000,
		note: `CPU a delivery: engine ${perDelivery(used)}, Postgres ${perDelivery(stored)}, receiver ${perDelivery(received)}; waits: ${waits}`,
	};
}

async function pendingLeft(server: BenchServer): Promise<number> {
	const rows = await server.sql("select 1 from deliveries where state = 'pending' limit 1");
	return rows.length;
}
