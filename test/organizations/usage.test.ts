import { afterAll, beforeAll, expect, it } from "vitest";
import { type OrganizationId, toUuid } from "../../src/core/ids.ts";
import { createUsageReader } from "../../src/organizations/read-usage.ts";
import { organizationStore } from "../../src/organizations/store.ts";
import { addEndpoint, addOrganization, getBody, type Owner, publish } from "../deliveries/webhook-server.ts";
import { openExplainer } from "../support/explain.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { ROLE: "api" } });
});
afterAll(() => server.close());

const hourMs = 3_600_000;

/** Events of the organization, so many a minute from a moment on. */
async function made(owner: Owner, from: Date, count: number): Promise<void> {
	await server.sql(
		`insert into events (organization_id, id, type, payload, delivery_count, created_at)
		select $1::uuid, (lpad(to_hex(($2::bigint + n * 60000)), 12, '0') || '70008' || substr(md5(n::text), 1, 15))::uuid,
			'made', '{}', 0, now()
		from generate_series(0, $3::int - 1) n`,
		[toUuid(owner.organizationId), from.getTime(), count],
	);
}

/** The next month, for which there are partitions, and a clock that stands in it. */
function month() {
	const now = new Date();
	const start = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1));
	return { start, clock: { now: () => new Date(start.getTime() + 48 * hourMs) } };
}

it("GET …/usage counts what was made this month, to the present", async () => {
	const owner = await addOrganization(server);
	await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/" });
	await publish(server, owner, { type: "a", data: 1 });
	await publish(server, owner, { type: "a", data: 2 });
	const path = `/v1/organizations/${owner.organizationId}/usage`;
	const { usage } = await getBody(server, owner, path);
	expect(usage).toEqual({
		period_start: expect.stringMatching(/-01T00:00:00\.000Z$/),
		projects: 0,
		preview_databases: 0,
		webhook_endpoints: 1,
		events: 2,
		deliveries: 2,
		counted_until: expect.stringMatching(/Z$/),
	});
	expect(Math.abs(Date.parse(usage.counted_until) - Date.now())).toBeLessThan(60_000);
	await publish(server, owner, { type: "a", data: 3 });
	expect((await getBody(server, owner, path)).usage).toMatchObject({ events: 3, deliveries: 3 });
});

it("what is past is counted once, and the present each time", async () => {
	const owner = await addOrganization(server);
	const id = owner.organizationId as OrganizationId;
	const { start, clock } = month();
	const read = createUsageReader({ ...server.ctx, clock });
	await made(owner, new Date(start.getTime() - hourMs), 60 + 100);
	expect((await read(id)).usage.events).toBe(100);
	// Were it read again, it would be missed.
	await server.sql("delete from events where organization_id = $1", [toUuid(id)]);
	await made(owner, new Date(clock.now().getTime() - 300_000), 3);
	expect((await read(id)).usage.events).toBe(103);
	expect((await read(id)).usage.events).toBe(103);
});

it("what is too much for one call is counted by several, each of which says how far it came", async () => {
	const owner = await addOrganization(server);
	const id = owner.organizationId as OrganizationId;
	const { start, clock } = month();
	await made(owner, start, 100);
	const read = createUsageReader({ ...server.ctx, clock }, { stepRows: 40, budgetMs: 1 });
	const counted: { events: number; until: number }[] = [];
	const isWhole = () => counted.at(-1)?.until === clock.now().getTime();
	while (!isWhole()) {
		const { usage, countedUntil } = await read(id);
		counted.push({ events: usage.events, until: countedUntil.getTime() });
	}
	expect(counted.length).toBeGreaterThan(2);
	for (const { events, until } of counted) {
		const minutes = Math.floor((until - start.getTime() - 1) / 60_000) + 1;
		expect(events).toBeGreaterThanOrEqual(Math.min(100, minutes));
	}
	expect(counted.at(-1)?.events).toBe(100);
	expect(counted.map(({ until }) => until)).toEqual(
		counted.map(({ until }) => until).toSorted((a, b) => a - b),
	);
});

it("many who ask at once cause one count", async () => {
	const owner = await addOrganization(server);
	const id = owner.organizationId as OrganizationId;
	const explainer = await openExplainer(server.databaseUrl);
	try {
		const stores = { ...server.ctx.stores, organizations: organizationStore(explainer.database) };
		const read = createUsageReader({ ...server.ctx, stores });
		await Promise.all(Array.from({ length: 20 }, () => read(id)));
		expect(explainer.plans().length).toBeLessThanOrEqual(3);
	} finally {
		await explainer.close();
	}
});
