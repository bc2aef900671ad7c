import { expect, it, onTestFinished } from "vitest";
import type { Held } from "../fakes/holds.ts";
import { type FakeNetlify, startFakeNetlify } from "../fakes/netlify.ts";
import type { Tenant } from "../support/server.ts";
import { until } from "../support/until.ts";
import { endedJob } from "./clerk-server.ts";
import { type CrashServer, startCrashServer } from "./crash-server.ts";
import { connections, platformPath } from "./platform-server.ts";

type Place = CrashServer & { netlify: FakeNetlify };
type Site = { tenant: Tenant; siteId: string };

it("leaves a site with four hooks or none, and its variables whole or gone, wherever a process is killed", async () => {
	const netlify = await startFakeNetlify({ sites: [{}, {}, {}, {}] });
	onTestFinished(() => netlify.close());
	const place: Place = { netlify, ...(await startCrashServer({ NETLIFY_API_URL: netlify.origin })) };
	const [hooking, pushing, unhooking, removing] = await addSites(place);
	if (!hooking || !pushing || !unhooking || !removing) throw new Error("The fake has four sites.");
	for (const site of [unhooking, removing]) await connect(place, site);
	const held: Held[] = [];
	const at = async (hold: Held, begin: Promise<unknown>) => {
		void begin.catch(() => undefined);
		await hold.arrived;
		held.push(hold);
	};
	const third = netlify.holdNext(/^POST .*\/hooks$/, { nth: 3, afterWork: true });
	await at(third, place.callDoomed(...connectCall(place, hooking)));
	const written = netlify.holdNext(/^POST .*\/env$/, { afterWork: true });
	await at(written, place.callDoomed(...connectCall(place, pushing)));
	await at(netlify.holdNext(/^DELETE .*\/hooks\//, { nth: 2 }), disconnect(place, unhooking));
	await at(netlify.holdNext(/^DELETE .*\/env\//, { afterWork: true }), disconnect(place, removing));
	await place.crash(held);
	for (const { tenant, siteId } of [hooking, pushing]) {
		const { pooled_url, direct_url } = await connections(place.server, tenant);
		await until(
			() => hooksOf(place, siteId) === 4 && productionValue(place, siteId, "DATABASE_URL") === pooled_url,
		);
		await until(() => productionValue(place, siteId, "DATABASE_URL_UNPOOLED") === direct_url);
	}
	await until(async () => (await place.server.sql("select 1 from integrations")).length === 2);
	for (const { siteId } of [unhooking, removing]) {
		expect([hooksOf(place, siteId), keysOf(place, siteId)]).toEqual([0, []]);
	}
	expect(netlify.hooks.size).toBe(8);
});

async function addSites({ server, netlify }: Place): Promise<Site[]> {
	const sites: Site[] = [];
	for (const siteId of netlify.sites.keys()) sites.push({ tenant: await server.tenant(siteId), siteId });
	return sites;
}

function connectCall({ netlify }: Place, { tenant, siteId }: Site) {
	const body = { site_id: siteId, token: netlify.token, preview_branches: true };
	return [platformPath(tenant, "netlify", "connect"), { key: tenant.key, body }] as const;
}

async function connect(place: Place, site: Site): Promise<void> {
	const { body } = await place.server.call("POST", ...connectCall(place, site));
	expect((await endedJob(place.server, site.tenant, body.job.id)).state).toBe("completed");
}

function disconnect({ server }: Place, { tenant }: Site): Promise<unknown> {
	return server.call("DELETE", platformPath(tenant, "netlify"), { key: tenant.key });
}

function hooksOf({ netlify }: Place, siteId: string): number {
	return [...netlify.hooks.values()].filter(({ site_id }) => site_id === siteId).length;
}

function keysOf({ netlify }: Place, siteId: string): string[] {
	const accountId = netlify.sites.get(siteId)?.accountId;
	return [...(netlify.variables.get(`${accountId}/${siteId}`)?.keys() ?? [])];
}

function productionValue({ netlify }: Place, siteId: string, key: string): string | undefined {
	const values: Record<string, string> = netlify.values(key, netlify.sites.get(siteId)) ?? {};
	return values.production;
}
