import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
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

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

const post = (path: string) => server.call("POST", path, { key: owner.key });
const setActive = (isActive: boolean) =>
	server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: isActive } });

describe("the test route", () => {
	it("answers 202 with a delivery of one attempt and sends `webhook.test`, whatever the filter", async () => {
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { event_types: ["other"] } });
		const { status, body } = await post(`${endpoint.path}/test`);
		expect(status).toBe(202);
		expect(body.delivery).toMatchObject({
			state: "pending",
			event_type: "webhook.test",
			attempts: 0,
			max_attempts: 1,
			response_status: null,
			last_error: null,
			delivered_at: null,
		});
		const [request] = await receiver.waitFor(1);
		expect(request?.headers).toMatchObject({
			"x-capydb-event": "webhook.test",
			"x-capydb-delivery": body.delivery.id,
		});
		expect(JSON.parse(String(request?.body))).toEqual(body.delivery.payload);
	});

	it("makes one attempt: a failure is final", async () => {
		receiver.respondWith(500);
		await post(`${endpoint.path}/test`);
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state !== "pending");
		expect(delivery).toMatchObject({ state: "failed", attempts: 1, next_attempt_at: null });
	});

	it("works while the endpoint is inactive", async () => {
		await setActive(false);
		expect((await post(`${endpoint.path}/test`)).status).toBe(202);
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	});

	it("is recorded as an event of the organization", async () => {
		const { body } = await post(`${endpoint.path}/test`);
		const path = `/v1/organizations/${owner.organizationId}/events/${body.delivery.event_id}`;
		const { event, deliveries } = await getBody(server, owner, path);
		expect(event).toMatchObject({ type: "webhook.test", deliveries: 1, payload: body.delivery.payload });
		expect(deliveries.map((each: { id: string }) => each.id)).toEqual([body.delivery.id]);
	});

	it("goes only to this endpoint", async () => {
		const other = await receiving();
		await addEndpoint(server, owner, { url: other.url });
		await post(`${endpoint.path}/test`);
		await publish(server, owner, { type: "after", data: 1 });
		await other.waitFor(1);
		expect(other.requests.map(({ headers }) => headers["x-capydb-event"])).toEqual(["after"]);
	});
});

describe("redelivering", () => {
	it("makes a new delivery of the same bytes, with all its attempts", async () => {
		const { event } = await publish(server, owner, { type: "a.b", data: { n: 1 } });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const { status, body } = await post(`${endpoint.path}/deliveries/${first.id}/redeliver`);
		expect(status).toBe(202);
		expect(body.delivery).toMatchObject({
			event_id: event.id,
			event_type: "a.b",
			state: "pending",
			attempts: 0,
			max_attempts: 8,
			payload: first.payload,
		});
		expect(body.delivery.id).not.toBe(first.id);
		const [one, two] = await receiver.waitFor(2);
		expect(two?.body).toEqual(one?.body);
		expect(two?.headers["webhook-id"]).toBe(one?.headers["webhook-id"]);
		expect(two?.headers["x-capydb-delivery"]).toBe(body.delivery.id);
		const path = `${endpoint.path}/deliveries/${first.id}`;
		expect((await getBody(server, owner, path)).delivery).toEqual(first);
	});

	it("sends exactly one more request after a success, however the event was first published", async () => {
		await publish(server, owner, { type: "a", data: 1, idempotency_key: "once" });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const again = await post(`${endpoint.path}/deliveries/${first.id}/redeliver`);
		await newestDelivery(
			server,
			owner,
			endpoint,
			({ id, state }) => id === again.body.delivery.id && state === "delivered",
		);
		expect(receiver.requests).toHaveLength(2);
	});

	it("does not consult the filter", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { event_types: ["other"] } });
		expect((await post(`${endpoint.path}/deliveries/${first.id}/redeliver`)).status).toBe(202);
		await receiver.waitFor(2);
	});

	it("is a 409 once retention dropped the event", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await server.sql("delete from events where id = $1", [toUuid(first.event_id)]);
		const { status, body } = await post(`${endpoint.path}/deliveries/${first.id}/redeliver`);
		expect([status, body.code]).toEqual([409, "delivery.payload_gone"]);
		expect(body.error).toMatch(/erased, or is older than its retention/);
	});

	it("is a 409 while the endpoint is inactive", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await setActive(false);
		const { status, body } = await post(`${endpoint.path}/deliveries/${first.id}/redeliver`);
		expect([status, body.code]).toEqual([409, "webhook_endpoint.inactive"]);
	});

	it("is a 404 for a delivery of another endpoint, of another tenant, and a malformed id", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const sibling = await addEndpoint(server, owner, { url: receiver.url });
		expect((await post(`${sibling.path}/deliveries/${first.id}/redeliver`)).status).toBe(404);
		expect((await post(`${endpoint.path}/deliveries/whd_x/redeliver`)).status).toBe(404);
		const stranger = await addOrganization(server);
		const strangers = await addEndpoint(server, stranger, { url: receiver.url });
		const answer = await server.call("POST", `${strangers.path}/deliveries/${first.id}/redeliver`, {
			key: stranger.key,
		});
		expect(answer.status).toBe(404);
	});
});

describe("deliveries by hand", () => {
	it("are at most 60 a minute an endpoint, test and redeliver together", async () => {
		const { body } = await post(`${endpoint.path}/test`);
		const redeliver = `${endpoint.path}/deliveries/${body.delivery.id}/redeliver`;
		for (let count = 1; count < 60; count += 1) {
			expect((await post(count % 2 === 0 ? redeliver : `${endpoint.path}/test`)).status).toBe(202);
		}
		for (const path of [redeliver, `${endpoint.path}/test`]) {
			const refused = await post(path);
			expect([refused.status, refused.body.code]).toEqual([429, "rate_limit.exceeded"]);
			const waitSeconds = Number(refused.headers.get("retry-after"));
			expect(waitSeconds).toBeGreaterThan(30);
			expect(waitSeconds).toBeLessThanOrEqual(60);
		}
		const other = await addEndpoint(server, owner, { url: receiver.url });
		expect((await post(`${other.path}/test`)).status).toBe(202);
		await server.advance(60_000);
		expect((await post(`${endpoint.path}/test`)).status).toBe(202);
	});

	it("are at most 60 in any minute, over two replicas and over a restart", async () => {
		let second = await startTestServer({ keep: true, databaseUrl: server.databaseUrl });
		try {
			const ask = (on: TestServer) => on.call("POST", `${endpoint.path}/test`, { key: owner.key });
			const answers = await Promise.all(
				Array.from({ length: 80 }, (_, at) => ask(at % 2 === 0 ? server : second)),
			);
			expect(answers.filter(({ status }) => status === 202)).toHaveLength(60);
			expect(answers.filter(({ status }) => status === 429)).toHaveLength(20);
			await server.advance(30_000);
			await second.close();
			second = await startTestServer({ keep: true, databaseUrl: server.databaseUrl });
			expect((await ask(second)).status).toBe(429);
		} finally {
			await second.close();
		}
	});

	it("that are refused for another reason do not count", async () => {
		const { body } = await post(`${endpoint.path}/test`);
		await setActive(false);
		const redeliver = `${endpoint.path}/deliveries/${body.delivery.id}/redeliver`;
		for (let count = 0; count < 60; count += 1) expect((await post(redeliver)).status).toBe(409);
		await setActive(true);
		expect((await post(redeliver)).status).toBe(202);
	});
});

describe("an endpoint that is deleted at the same moment", () => {
	it("is a 404 for a test and for a redelivery, once it is gone", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const deleting = new pg.Client({ connectionString: server.databaseUrl });
		await deleting.connect();
		onTestFinished(() => deleting.end());
		await deleting.query("begin");
		await deleting.query("delete from webhook_endpoints where id = $1", [toUuid(endpoint.id)]);
		const asking = ["test", `deliveries/${first.id}/redeliver`].map((path) =>
			post(`${endpoint.path}/${path}`),
		);
		const waits =
			"select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
		await until(async () => (await server.sql(waits)).length === asking.length);
		await deleting.query("commit");
		for (const { status, body } of await Promise.all(asking)) {
			expect([status, body.code]).toEqual([404, "webhook_endpoint.not_found"]);
		}
	});
});
