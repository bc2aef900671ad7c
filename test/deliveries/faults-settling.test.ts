import { describe, expect, inject, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { startProxy } from "../crash/proxy.ts";
import type { Reply } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	getBody,
	listAttempts,
	listDeliveries,
	type Owner,
	passLeases,
	publish,
	receiving,
} from "./webhook-server.ts";

const deliveriesInAll = 20;
/** The deadline of an attempt and the time to write its result. */
const leaseMs = 30_000;

type Stage = { server: TestServer; owner: Owner; endpoint: AddedEndpoint; requests(): Body[] };

/**
 * Has a batch of results settled of which the database refuses one: twenty requests are held until all are
 * there, answered at once, and the one that carries 7 is answered with what a constraint forbids.
 */
async function settleWithPoison(constraint: string, poison: Reply): Promise<Stage> {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	await server.sql(`alter table delivery_attempts add constraint poison check (${constraint})`);
	const allThere = Promise.withResolvers<void>();
	receiver.respondWith(async ({ body }) => {
		if (receiver.requests.length >= deliveriesInAll) allThere.resolve();
		await allThere.promise;
		const isFirst = receiver.requests.filter(isPoison).length === 1;
		return isPoison({ body }) && isFirst ? poison : 200;
	});
	const events = Array.from({ length: deliveriesInAll }, (_, at) => ({ type: "a", data: at }));
	await publish(server, owner, { events });
	return { server, owner, endpoint, requests: () => receiver.requests };
}

describe("one result that the database refuses (a poison row in a batch of results)", () => {
	it("keeps none of the others from being settled, each sent once, and loses its response alone", async () => {
		const stage = await settleWithPoison("response_body <> 'poison'", { status: 200, body: "poison" });
		const { server, owner, endpoint } = stage;
		const deliveries = await until(async () => {
			const rows = await listDeliveries(server, owner, endpoint, "?state=delivered");
			return rows.length === deliveriesInAll && rows;
		});
		expect(stage.requests()).toHaveLength(deliveriesInAll);
		const poisoned = deliveries.find(({ payload }) => payload.data === 7);
		expect(await listAttempts(server, owner, endpoint, poisoned.id)).toMatchObject([
			{ number: 1, response_status: 200, response_body: null, response_headers: null },
		]);
	});

	it("that can be written in no way ends with its lease as unknown, and the others are not sent again", async () => {
		const stage = await settleWithPoison("response_status <> 299", 299);
		const { server, owner, endpoint } = stage;
		await until(async () => {
			const rows = await listDeliveries(server, owner, endpoint, "?state=delivered");
			return rows.length === deliveriesInAll - 1;
		});
		const [waiting] = await listDeliveries(server, owner, endpoint, "?state=pending");
		expect(waiting.payload.data).toBe(7);
		await passLeases(server, leaseMs + 1_000, endpoint);
		await until(
			async () =>
				(await listDeliveries(server, owner, endpoint, "?state=delivered")).length === deliveriesInAll,
		);
		expect(stage.requests().filter(isPoison)).toHaveLength(2);
		expect(stage.requests()).toHaveLength(deliveriesInAll + 1);
		expect(await listAttempts(server, owner, endpoint, waiting.id)).toMatchObject([
			{ number: 1, error_code: "unknown", response_status: null },
			{ number: 2, error_code: null, response_status: 200 },
		]);
	});
});

describe("a result that was committed, while the connection broke before the server heard of it", () => {
	it("as delivered is in the log once", async () => {
		const { server, owner, endpoint } = await settleUnheard(200, []);
		expect(await listDeliveries(server, owner, endpoint)).toMatchObject([
			{ state: "delivered", attempts: 1 },
		]);
	});

	it("as failed is in the log once, and counts once for its endpoint and for `delivery.exhausted`", async () => {
		const { server, owner, endpoint } = await settleUnheard(500, ["commit"]);
		expect(await listDeliveries(server, owner, endpoint)).toMatchObject([{ state: "failed", attempts: 1 }]);
		const health = "select consecutive_failures from endpoint_health where endpoint_id = $1";
		expect(await server.sql(health, [toUuid(endpoint.id)])).toEqual([{ consecutive_failures: 1 }]);
		// One was told of, and none waits to be told.
		expect(await server.sql("select count from delivery_exhaustions")).toEqual([{ count: 0 }]);
		const { events } = await getBody(server, owner, `/v1/organizations/${owner.organizationId}/events`);
		const told = events.filter((event: Body) => event.type === "delivery.exhausted");
		expect(told).toMatchObject([{ payload: { data: { count: 1 } } }]);
	});
});

/**
 * Has one delivery made, whose only attempt is answered with `status`, by a worker whose connection breaks between
 * the commit of the result and its answer. `last` is what that commit says after the statement.
 */
async function settleUnheard(status: number, last: string[]) {
	const server = await startTestServer({ env: { ROLE: "api", WEBHOOK_RETRY_SCHEDULE: "0" } });
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url, event_types: ["a"] });
	await addEndpoint(server, owner, { url: receiver.url, event_types: ["delivery.exhausted"] });
	const { hostname: host, port } = new URL(inject("clusterUrl"));
	const proxy = await startProxy({ host, port: Number(port) });
	onTestFinished(() => proxy.close());
	const worker = await startTestServer({
		databaseUrl: proxy.wayOf(server.databaseUrl),
		env: { ROLE: "worker", WEBHOOK_RETRY_SCHEDULE: "0" },
	});
	const isLost = Promise.withResolvers<void>();
	receiver.respondWith(({ headers }) => {
		if (headers["x-capydb-event"] !== "a") return 200;
		const delivery = toUuid(String(headers["x-capydb-delivery"]));
		void proxy.loseAnswerTo("settle_deliveries", delivery, ...last).then(isLost.resolve);
		return status;
	});
	await publish(server, owner, { type: "a", data: 1 });
	await isLost.promise;
	// It writes what it has not heard to be written before it ends.
	await worker.close();
	const [delivery] = await listDeliveries(server, owner, endpoint);
	expect(await listAttempts(server, owner, endpoint, delivery.id)).toMatchObject([
		{ number: 1, response_status: status },
	]);
	return { server, owner, endpoint };
}

function isPoison({ body }: { body: Buffer }): boolean {
	return JSON.parse(String(body)).data === 7;
}
