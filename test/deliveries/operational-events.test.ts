import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ReceivedRequest, Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	endpointsPath,
	getBody,
	newestDelivery,
	type Owner,
	publish,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;
/** Of an endpoint that names both operational events. */
let watcher: Receiver;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0" } });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url, name: "orders", event_types: ["a.*"] });
	watcher = await watching();
});

async function watching(): Promise<Receiver> {
	const names = ["endpoint.disabled", "delivery.exhausted"];
	const made = await receiving();
	await addEndpoint(server, owner, { url: made.url, event_types: names });
	return made;
}

/** Publishes one event to the endpoint, answered with the status, and returns its delivery. */
async function deliver(status: number): Promise<Body> {
	receiver.respondWith(status);
	const { event } = await publish(server, owner, { type: "a.b", data: 1 });
	const isOver = (delivery: Body) => delivery.event_id === event.id && delivery.state !== "pending";
	return newestDelivery(server, owner, endpoint, isOver);
}

async function eventsOf(type: string): Promise<Body[]> {
	return (await getBody(server, owner, `/v1/organizations/${owner.organizationId}/events?type=${type}`))
		.events;
}

function bodyOf(request: ReceivedRequest | undefined): Body {
	return JSON.parse(String(request?.body));
}

describe("endpoint.disabled", () => {
	it("tells of an endpoint that the server disabled, with the reason", async () => {
		await deliver(410);
		const [request] = await watcher.waitFor(1);
		expect(bodyOf(request)).toMatchObject({
			type: "endpoint.disabled",
			data: {
				endpoint_id: endpoint.id,
				url: receiver.url,
				name: "orders",
				reason: "gone",
				disabled_reason: "The receiver answered 410 Gone.",
			},
		});
	});

	it("goes only to endpoints that name it, and not to those of every type or of a wildcard", async () => {
		const others = await receiving();
		for (const types of [[], ["*"], ["endpoint.*"]]) {
			await addEndpoint(server, owner, { url: others.url, event_types: types });
		}
		await deliver(410);
		await watcher.waitFor(1);
		await publish(server, owner, { type: "endpoint.after", data: 1 });
		await others.waitFor((all) => all.filter((each) => typeOf(each) === "endpoint.after").length === 3);
		expect(others.requests.map(typeOf)).not.toContain("endpoint.disabled");
	});

	it("is not sent when a person makes an endpoint inactive", async () => {
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: false } });
		expect(await eventsOf("endpoint.disabled")).toEqual([]);
	});

	it("never cascades: an endpoint disabled over an operational event makes no other", async () => {
		watcher.respondWith(410);
		const second = await watching();
		await deliver(410);
		await watcher.waitFor(1);
		await second.waitFor(1);
		// The one that was told of, and the one that answered 410 to that.
		await until(async () => {
			const { webhook_endpoints: all } = await getBody(server, owner, endpointsPath(owner));
			return all.filter((each: Body) => !each.is_active).length === 2;
		});
		expect(await eventsOf("endpoint.disabled")).toHaveLength(1);
	});
});

describe("delivery.exhausted", () => {
	it("tells of a delivery that failed for good", async () => {
		const { id } = await deliver(500);
		const [request] = await watcher.waitFor(1);
		expect(bodyOf(request)).toMatchObject({
			type: "delivery.exhausted",
			data: {
				endpoint_id: endpoint.id,
				url: receiver.url,
				name: "orders",
				count: 1,
				first_delivery_id: id,
				last_delivery_id: id,
			},
		});
	});

	it("comes at most once an endpoint and hour, then with the count, the first and the last", async () => {
		await deliver(500);
		await watcher.waitFor(1);
		const lost = [await deliver(500), await deliver(500), await deliver(500)];
		expect(await eventsOf("delivery.exhausted")).toHaveLength(1);
		await server.advance(3600_000);
		const [, request] = await watcher.waitFor(2);
		expect(bodyOf(request).data).toMatchObject({
			count: 3,
			first_delivery_id: lost[0].id,
			last_delivery_id: lost[2].id,
		});
		await deliver(500);
		expect(await eventsOf("delivery.exhausted")).toHaveLength(2);
	});

	it("counts each endpoint by itself", async () => {
		const other = await addEndpoint(server, owner, { url: receiver.url, event_types: ["a.*"] });
		await deliver(500);
		const requests = await watcher.waitFor(2);
		expect(requests.map((each) => bodyOf(each).data.endpoint_id).toSorted()).toEqual(
			[endpoint.id, other.id].toSorted(),
		);
	});

	it("never cascades: an operational event that cannot be delivered makes no other", async () => {
		watcher.respondWith(500);
		await deliver(500);
		await watcher.waitFor(1);
		await server.advance(2 * 3600_000);
		await deliver(500);
		await watcher.waitFor(2);
		const told = await eventsOf("delivery.exhausted");
		expect(told.map(({ payload }) => payload.data.endpoint_id)).toEqual([endpoint.id, endpoint.id]);
	});

	it("is not sent for a test", async () => {
		receiver.respondWith(500);
		await server.call("POST", `${endpoint.path}/test`, { key: owner.key });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "failed");
		expect(await eventsOf("delivery.exhausted")).toEqual([]);
	});
});

function typeOf({ headers }: ReceivedRequest): string | undefined {
	return headers["x-capydb-event"];
}
