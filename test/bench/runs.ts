import { until } from "../support/until.ts";
import { addPending, clear, release, settleDown, type Tenant } from "./seed.ts";
import type { BenchServer, Site } from "./site.ts";
import { measureUsage, type Used } from "./usage.ts";

export type Work = {
	tenants: Tenant[];
	deliveries: number;
	/** Deliveries of one event. */
	fanOut: number;
};

/** Deliveries a second, and what they have cost. */
export type Run = { perSecond: number; used: Used };

/** Delivers so much, from the wake to the last result written. More servers on one database are its replicas. */
export async function runEngine(
	site: Site,
	[server, ...replicas]: [BenchServer, ...BenchServer[]],
	work: Work,
): Promise<Run> {
	await fill(server, work);
	await site.receiver.call("reset", "count");
	const usage = await measureUsage(site, server, ...replicas);
	await release([server, ...replicas], work.tenants);
	await delivered(site, server, work.deliveries);
	const used = await usage.stop();
	return { perSecond: (work.deliveries / used.ms) * 1000, used };
}

/** Throws away what was delivered before, and writes so many deliveries that wait. */
export async function fill(server: BenchServer, { tenants, deliveries, fanOut }: Work): Promise<void> {
	await clear(server);
	for (const tenant of tenants) {
		await addPending(server, tenant, { deliveries: deliveries / tenants.length, fanOut });
	}
	await settleDown(server);
}

async function delivered(site: Site, server: BenchServer, deliveries: number): Promise<void> {
	await until(async () => (await site.receiver.call("count", "count")) >= deliveries, {
		timeoutMs: 300_000,
		everyMs: 10,
	});
	await until(async () => (await pendingLeft(server)) === 0, { timeoutMs: 30_000, everyMs: 5 });
}

async function pendingLeft(server: BenchServer): Promise<number> {
	const rows = await server.sql("select 1 from deliveries where state = 'pending' limit 1");
	return rows.length;
}

export type Bare = { urls: string[]; requests: number; concurrency: number; body: string };

/** The ceiling, in requests a second: the same signed POSTs through the engine's sender, and nothing recorded. */
export async function runBare(site: Site, bare: Bare): Promise<number> {
	const { ms } = await site.bare.call("run", bare);
	return (bare.requests / ms) * 1000;
}
