import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
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
