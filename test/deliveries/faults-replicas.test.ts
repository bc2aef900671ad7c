import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ownSignatures, standardSignatures } from "./signatures.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	newestDelivery,
	type Owner,
	publish,
	receiving,
} from "./webhook-server.ts";

/** As many as one endpoint may have in flight. */
const inFlight = 20;

/** Changes are made through the first; every request is sent by the second. */
let api: TestServer;
let worker: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	const env = { WEBHOOK_ENDPOINT_CONCURRENCY: String(inFlight) };
	api = await startTestServer({ keep: true, env: { ...env, ROLE: "api" } });
	worker = await startTestServer({
		keep: true,
		databaseUrl: api.databaseUrl,
		env: { ...env, ROLE: "worker" },
	});
});
afterAll(async () => {
	await worker.close();
	await api.close();
});
beforeEach(async () => {
	owner = await addOrganization(api);
	receiver = await receiving();
	endpoint = await addEndpoint(api, owner, { url: receiver.url, headers: { "X-Version": "old" } });
});

/** So many deliveries wait, with as many in flight as may be; nothing is answered before `release`. */
async function queue(count: number): Promise<{ release(): void }> {
	const { promise, resolve } = Promise.withResolvers<number>();
	receiver.respondWith(() => promise);
	for (let from = 0; from < count; from += 500) {
		const events = Array.from({ length: Math.min(500, count - from) }, (_, at) => ({ type: "a", data: at }));
		await publish(api, owner, { events });
	}
	await receiver.waitFor(inFlight);
	return { release: () => resolve(200) };
}

const patch = (body: unknown) => server("PATCH", endpoint.path, body);

async function server(method: string, path: string, body?: unknown) {
	const answer = await api.call(method, path, { key: owner.key, ...(body === undefined ? {} : { body }) });
	if (answer.status >= 400) throw new Error(answer.text);
	return answer.body;
}

async function countDeliveries(state: string): Promise<number> {
	const rows = await api.sql("select 1 from deliveries where endpoint_id = $1 and state = $2", [
		toUuid(endpoint.id),
		state,
	]);
	return rows.length;
}

/** Something of another endpoint is delivered: whatever the worker would have sent before, it has sent. */
async function otherIsServed(): Promise<void> {
	const other = await receiving();
	const beside = await addEndpoint(api, owner, { url: other.url, event_types: ["beside"] });
	await publish(api, owner, { type: "beside", data: 1 });
	await newestDelivery(api, owner, beside, ({ state }) => state === "delivered");
	await server("DELETE", beside.path);
}

describe("a change made on one replica, with hundreds of deliveries queued on another", () => {
	it("disable: nothing more is sent, nothing uses an attempt, and all of it goes on when re-enabled", async () => {
		const { release } = await queue(200);
		await patch({ is_active: false });
		release();
		await until(async () => (await countDeliveries("delivered")) === inFlight);
		await otherIsServed();
		expect(receiver.requests).toHaveLength(inFlight);
		const used = await api.sql(
			"select 1 from deliveries where endpoint_id = $1 and state = 'pending' and attempts > 0",
			[toUuid(endpoint.id)],
		);
		expect(used).toEqual([]);
		await patch({ is_active: true });
		await until(async () => (await countDeliveries("delivered")) === 200);
		expect(receiver.requests).toHaveLength(200);
	});

	it("delete, with 1,000 pending: all are dropped, none is sent, and the worker does not go round them", async () => {
		const { release } = await queue(1_000);
		await server("DELETE", endpoint.path);
		expect(await countDeliveries("pending")).toBe(0);
		release();
		await otherIsServed();
		await api.advance(3600_000);
		await otherIsServed();
		expect(receiver.requests).toHaveLength(inFlight);
		expect(await countDeliveries("pending")).toBe(0);
		expect(
			await api.sql("select 1 from delivery_lanes where endpoint_id = $1", [toUuid(endpoint.id)]),
		).toEqual([]);
	});

	it("rotate: every later request is signed with the new secret alone", async () => {
		const { release } = await queue(100);
		const { plaintext_secret: secret } = await server("POST", `${endpoint.path}/rotate-secret`, {});
		release();
		await until(async () => (await countDeliveries("delivered")) === 100);
		for (const [at, request] of receiver.requests.entries()) {
			const live = at < inFlight ? endpoint.secret : secret;
			expect([at, ownSignatures(request, [live])]).toEqual([at, true]);
			expect([at, standardSignatures(request, [live])]).toEqual([at, true]);
		}
	});

	it("new URL and headers: every later request goes there, with those", async () => {
		const { release } = await queue(100);
		const next = await receiving();
		await patch({ url: next.url, headers: { "X-Version": "new" } });
		release();
		await until(async () => (await countDeliveries("delivered")) === 100);
		expect(receiver.requests).toHaveLength(inFlight);
		expect(next.requests).toHaveLength(100 - inFlight);
		expect(new Set(next.requests.map(({ headers }) => headers["x-version"]))).toEqual(new Set(["new"]));
	});
});

describe("endpoints that are removed and disabled while events are published to them", () => {
	it("leave no orphan, no error for a publisher and no lost delivery", async () => {
		const elsewhere = await receiving();
		const removed = await addEndpoint(api, owner, { url: elsewhere.url });
		let answered = 0;
		const publishing = Array.from({ length: 80 }, async (_, at) => {
			await publish(api, owner, { type: "a", data: at });
			answered += 1;
		});
		await until(() => answered > 5, { everyMs: 1 });
		await Promise.all([server("DELETE", removed.path), patch({ is_active: false })]);
		await Promise.all(publishing);
		await patch({ is_active: true });
		await until(async () => (await countDeliveries("pending")) === 0);
		expect(receiver.requests).toHaveLength(await countDeliveries("delivered"));
		const events = await api.sql("select 1 from events where organization_id = $1", [
			toUuid(owner.organizationId),
		]);
		expect(events).toHaveLength(80);
		await api.ctx.stores.deliveries.dropOrphans();
		const orphans = await api.sql(
			"select 1 from deliveries d where state = 'pending' and not exists (select 1 from webhook_endpoints w where w.id = d.endpoint_id)",
		);
		expect(orphans).toEqual([]);
	});

	it("an orphan that a publisher left behind is never sent, and is dropped with the next maintenance", async () => {
		const { release } = await queue(100);
		// As a publisher leaves them whose statement saw the endpoint before it was deleted, and ended after it.
		await api.sql("delete from webhook_endpoints where id = $1", [toUuid(endpoint.id)]);
		release();
		await until(async () => (await countDeliveries("delivered")) === inFlight);
		await otherIsServed();
		expect(await countDeliveries("pending")).toBe(100 - inFlight);
		await api.ctx.tasks.send("tables.maintain", {});
		await until(async () => (await countDeliveries("pending")) === 0);
		expect(receiver.requests).toHaveLength(inFlight);
	});
});
