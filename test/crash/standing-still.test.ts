import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { until } from "../support/until.ts";
import { takenMore } from "./behind-proxy.ts";
import type { Lease } from "./kills.ts";
import { startLoad } from "./load.ts";
import { reckon } from "./reckoning.ts";
import type { Site } from "./site.ts";
import { endLeases, openTestSite } from "./test-site.ts";

let site: Site;

beforeAll(async () => {
	site = await openTestSite();
});
afterAll(() => site.close());

it("replicas that are told to stop under load give back what they hold: nothing is sent twice, no attempt is spent", async () => {
	const load = await startLoad(site, 21);
	for (const replica of site.replicas) {
		await takenMore(load, 30);
		expect(await replica.stop()).toEqual({ code: 0, signal: null });
		await replica.start();
	}
	await load.stop();
	expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [], duplicated: 0 });
	const [spent] = await site.sql("select sum(attempts)::int as attempts from deliveries");
	expect(spent).toEqual({ attempts: site.listener.arrivals.length });
	expect(await site.sql("select 1 from delivery_attempts where error_code = 'unknown'")).toEqual([]);
});

it("a replica that stands still beyond its leases is done without, and undoes nothing when it goes on", async () => {
	const load = await startLoad(site, 22);
	const [still] = site.replicas;
	// No attempt takes longer.
	const held = `select 1 from deliveries where lease_until > clock_now()
		and updated_at < clock_now() - interval '2500 milliseconds'`;
	await until(async () => {
		still.stand(true);
		await pause(3_000);
		if ((await site.sql(held)).length > 0) return true;
		still.stand(false);
		return false;
	});
	const leased = await endLeases(site);
	const delivered = await until(async () => {
		const rows = await statesOf(leased);
		return rows.length === leased.length && rows.every(({ state }) => state === "delivered") && rows;
	});
	still.stand(false);
	await takenMore(load, 50);
	await load.stop();
	expect(await reckon(site, load, [{ leased }])).toMatchObject({ lost: [], stuck: [], unexplained: [] });
	expect(await statesOf(leased)).toEqual(delivered);
});

function statesOf(leases: readonly Lease[]) {
	return site.sql<{ id: string; state: string; delivered_at: Date }>(
		"select id, state, delivered_at, attempts from deliveries where id = any ($1) order by id",
		[leases.map(({ deliveryId }) => toUuid(deliveryId))],
	);
}
