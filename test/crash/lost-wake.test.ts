import { expect, it } from "vitest";
import { newId, type OrganizationId, toUuid } from "../../src/core/ids.ts";
import {
	addEndpoint,
	addOrganization,
	newestDelivery,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

it("an event whose publisher died between its commit and the wake is found by the sweep and sent once", async () => {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	// All that a publisher does, but for the wake after it.
	await server.ctx.stores.publish.publish(
		[{ organizationId: owner.organizationId as OrganizationId, projectId: null, type: "a.b", data: "1" }],
		{ maxAttempts: 8, firstWaitMs: 0, createdAt: server.ctx.clock.now() },
	);
	const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	expect(delivery.attempts).toBe(1);
	expect(receiver.requests).toHaveLength(1);
});

it("a test of a disabled endpoint whose server died between its commit and the wake is found, and sent alone", async () => {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	receiver.respondWith(500, 200);
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	await publish(server, owner, { type: "a.b", data: 1 });
	await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code === "http_5xx");
	const ended = await server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: false } });
	expect(ended.status).toBe(200);
	await passTime(server, 60_000, endpoint);
	const resting = "select from delivery_lanes where endpoint_id = $1 and due_at is null";
	await until(async () => (await server.sql(resting, [toUuid(endpoint.id)])).length === 1);
	const organizationId = owner.organizationId as OrganizationId;
	const eventId = newId("evt");
	// All that the route does, but for the wake after it.
	await server.ctx.transaction(async ({ stores, clock }) => {
		const createdAt = clock.now();
		const event = { id: eventId, organizationId, projectId: null, type: "webhook.test", payload: "{}" };
		await stores.events.insert({ ...event, deliveryCount: 1, createdAt });
		const of = { organizationId, endpointId: endpoint.id, eventId, eventType: "webhook.test" };
		await stores.deliveries.insert({ ...of, origin: "test", maxAttempts: 1, createdAt });
	});
	const tested = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	expect(tested).toMatchObject({ event_type: "webhook.test", attempts: 1 });
	// The retry of before is due all the while, and waits for its endpoint.
	expect(receiver.requests).toHaveLength(2);
});
