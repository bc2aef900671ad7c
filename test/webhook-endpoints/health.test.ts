import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	endpointsPath,
	getBody,
	newestDelivery,
	type Owner,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0" } });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

describe("an endpoint's health", () => {
	it("is healthy while nothing was sent, and after a success", async () => {
		expect(await health()).toBe("healthy");
		await deliver(200, 1);
		expect(await health()).toBe("healthy");
	});

	it("is degraded with a failure in the last 24 hours beside successes, healthy again after them", async () => {
		await deliver(200, 1);
		await deliver(500, 1);
		expect(await health()).toBe("degraded");
		await deliver(200, 1);
		expect(await health()).toBe("degraded");
		await server.sql(
			"update endpoint_health set last_failure_at = clock_now() - interval '24 hours 1 minute'",
		);
		expect(await health()).toBe("healthy");
	});

	it("is failing once the last five attempts all failed, until one succeeds", async () => {
		await deliver(200, 1);
		await deliver(500, 4);
		expect(await health()).toBe("degraded");
		await deliver(500, 1);
		expect(await health()).toBe("failing");
		await deliver(200, 1);
		expect(await health()).toBe("degraded");
	});

	it("is disabled while the endpoint is inactive, whatever came before", async () => {
		await deliver(500, 5);
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: false } });
		expect(await health()).toBe("disabled");
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: true } });
		expect(await health()).toBe("failing");
	});
});

/** Sends that many events, one after the other, each answered with the status. */
async function deliver(status: number, count: number): Promise<void> {
	receiver.respondWith(status);
	for (let at = 0; at < count; at += 1) {
		await publish(server, owner, { type: `n${at}`, data: 1 });
		await newestDelivery(server, owner, endpoint, (delivery) => delivery.response_status === status);
	}
}

/** The word, the same on both routes. */
async function health(): Promise<string> {
	const one = await until(async () => (await getBody(server, owner, endpoint.path)).webhook_endpoint.health);
	const [listed] = (await getBody(server, owner, endpointsPath(owner))).webhook_endpoints;
	expect(listed.health).toBe(one);
	return one;
}
