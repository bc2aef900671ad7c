import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	listDeliveries,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

const patch = (body: unknown) => server.call("PATCH", endpoint.path, { key: owner.key, body });

/** One delivery whose first attempt failed. */
async function failOnce(): Promise<void> {
	receiver.respondWith(500, 200);
	await publish(server, owner, { type: "a", data: 1 });
	await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
}

describe("an inactive endpoint", () => {
	it("gets no new deliveries; the event is recorded", async () => {
		await patch({ is_active: false });
		const { event, deliveries } = await publish(server, owner, { type: "a", data: 1 });
		expect([deliveries, event.deliveries]).toEqual([0, 0]);
		expect(await listDeliveries(server, owner, endpoint)).toEqual([]);
	});

	it("keeps its pending deliveries waiting without an attempt, and goes on when re-enabled", async () => {
		await failOnce();
		await patch({ is_active: false });
		await passTime(server, 60_000, endpoint);
		const other = await addEndpoint(server, owner, { url: receiver.url });
		await publish(server, owner, { type: "b", data: 1 });
		await newestDelivery(server, owner, other, ({ state }) => state === "delivered");
		const [waiting] = await listDeliveries(server, owner, endpoint);
		expect(waiting).toMatchObject({ state: "pending", attempts: 1 });
		await patch({ is_active: true });
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		expect(delivery).toMatchObject({ id: waiting.id, attempts: 2 });
	});
});

describe("a changed endpoint", () => {
	it("is held to at the next send: the new URL and the new headers", async () => {
		await failOnce();
		const next = await receiving();
		await patch({ url: `${next.url}/next`, headers: { "X-New": "yes" } });
		await passTime(server, 7_000, endpoint);
		const [request] = await next.waitFor(1);
		expect(request).toMatchObject({ url: "/next", headers: { "x-new": "yes" } });
		expect(receiver.requests).toHaveLength(1);
	});

	it("with another filter keeps what was published before", async () => {
		await failOnce();
		await patch({ event_types: ["other"] });
		await passTime(server, 7_000, endpoint);
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	});
});

describe("deleting an endpoint", () => {
	it("drops its pending deliveries, sends no more, and disturbs nobody", async () => {
		receiver.respondWith({ status: 200, delayMs: 300 });
		const events = Array.from({ length: 400 }, (_, at) => ({ type: "a", data: at }));
		await publish(server, owner, { events });
		await receiver.waitFor(1);
		const { status } = await server.call("DELETE", endpoint.path, { key: owner.key });
		expect(status).toBe(200);
		const waiting = () =>
			server.sql("select id from deliveries where endpoint_id = $1 and state = 'pending'", [
				toUuid(endpoint.id),
			]);
		expect(await waiting()).toEqual([]);
		const other = await addEndpoint(server, owner, { url: receiver.url });
		await publish(server, owner, { type: "after", data: 1 });
		await newestDelivery(server, owner, other, ({ state }) => state === "delivered");
		const sent = receiver.requests.filter(({ headers }) => headers["x-capydb-event"] === "a").length;
		expect(sent).toBeLessThan(100);
		await publish(server, owner, { type: "later", data: 1 });
		await newestDelivery(
			server,
			owner,
			other,
			({ event_type: type, state }) => type === "later" && state === "delivered",
		);
		expect(receiver.requests.filter(({ headers }) => headers["x-capydb-event"] === "a")).toHaveLength(sent);
		expect(await waiting()).toEqual([]);
	});

	it("while events are published leaves no delivery behind for ever, and no publisher sees an error", async () => {
		const publishing = Array.from({ length: 40 }, (_, at) => publish(server, owner, { type: "a", data: at }));
		await server.call("DELETE", endpoint.path, { key: owner.key });
		await Promise.all(publishing);
		await server.ctx.stores.deliveries.dropOrphans();
		await until(async () => {
			const rows = await server.sql(
				"select id from deliveries where endpoint_id = $1 and state = 'pending'",
				[toUuid(endpoint.id)],
			);
			return rows.length === 0;
		});
	});

	it("leaves its events readable", async () => {
		const { event } = await publish(server, owner, { type: "a", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await server.call("DELETE", endpoint.path, { key: owner.key });
		const path = `/v1/organizations/${owner.organizationId}/events/${event.id}`;
		const { status, body } = await server.call("GET", path, { key: owner.key });
		expect(status).toBe(200);
		expect(body.event.payload.data).toBe(1);
	});
});
