import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type EndpointId, toUuid } from "../../src/core/ids.ts";
import { failureStore } from "../../src/deliveries/engine/failure-store.ts";
import { openDatabase } from "../../src/platform/db.ts";
import type { ReceivedRequest, Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
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

describe("delivery.exhausted of more endpoints than one transaction tells of", () => {
	const inAll = 45;

	function addMany(on: TestServer, of: Owner, url: string): Promise<AddedEndpoint[]> {
		const body = { url, event_types: ["many.*"] };
		return Promise.all([...Array(inAll)].map(() => addEndpoint(on, of, body)));
	}

	it("tells of each of them once, and of no more than 20 at a time", async () => {
		const dead = await receiving();
		const endpoints = await addMany(server, owner, dead.url);
		const allThere = Promise.withResolvers<void>();
		dead.respondWith(async () => {
			if (dead.requests.length === inAll) allThere.resolve();
			await allThere.promise;
			return 500;
		});
		await publish(server, owner, { type: "many.b", data: 1 });
		const requests = await watcher.waitFor(inAll);
		const told = requests.map((each) => bodyOf(each).data);
		expect(told.map((data) => data.endpoint_id).toSorted()).toEqual(endpoints.map(({ id }) => id).toSorted());
		expect(told.every(({ count }) => count === 1)).toBe(true);
		const mine = "organization_id = $1 and type = 'delivery.exhausted'";
		const transactions = await server.sql<{ told: number }>(
			`select count(*)::int as told from events where ${mine} group by xmin::text`,
			[toUuid(owner.organizationId)],
		);
		expect(Math.max(...transactions.map((each) => each.told))).toBeLessThanOrEqual(20);
		expect(transactions.reduce((sum, each) => sum + each.told, 0)).toBe(inAll);
	});

	it("takes in turn those never told of and those longest ago, and with results only what is of their endpoints", async () => {
		const api = await startTestServer({ env: { ROLE: "api" } });
		const of = await addOrganization(api);
		const ids = (await addMany(api, of, receiver.url)).map(({ id }) => id);
		// Twenty were never told of; of the last it was within the hour.
		await api.sql(
			`insert into delivery_exhaustions (endpoint_id, organization_id, count, first_delivery_id, last_delivery_id, told_at)
			select id, id, 2, id, id, case when at > 20 then clock_now() - interval '2 hours' end
			from unnest($1::uuid[]) with ordinality as e(id, at)`,
			[ids.map(toUuid)],
		);
		await api.sql("update delivery_exhaustions set told_at = clock_now() where endpoint_id = $1", [
			toUuid(ids[inAll - 1] ?? ""),
		]);
		const database = openDatabase({
			url: api.databaseUrl,
			applicationName: "test",
			connectionsMax: 1,
			log: silentLog,
			statementTimeoutMs: 30_000,
			plansByKey: true,
		});
		onTestFinished(() => database.close());
		const store = failureStore(database);
		const idsOf = (taken: { id: EndpointId }[]) => taken.map(({ id }) => id).toSorted();
		expect(idsOf(await store.takeExhaustionsOf(ids.slice(-3)))).toEqual(ids.slice(-3, -1).toSorted());
		expect(await store.takeExhaustionsOf(ids.slice(20, 42))).toHaveLength(20);
		expect(idsOf(await store.takeExhaustions())).toEqual(ids.slice(0, 20).toSorted());
		expect(await store.takeExhaustions()).toHaveLength(2);
		expect(await store.takeExhaustions()).toEqual([]);
		await api.advance(3600_000);
		const longAgo = ids.slice(30);
		await api.sql(
			`update delivery_exhaustions set count = 3,
				told_at = told_at - case when endpoint_id = any ($1) then interval '1 hour' else '0' end`,
			[longAgo.map(toUuid)],
		);
		const taken = await store.takeExhaustions();
		expect(taken).toHaveLength(20);
		expect(idsOf(taken)).toEqual(expect.arrayContaining(longAgo));
	});
});

function typeOf({ headers }: ReceivedRequest): string | undefined {
	return headers["x-capydb-event"];
}
