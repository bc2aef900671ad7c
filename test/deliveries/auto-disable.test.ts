import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { DatabaseClock } from "../../src/platform/database-clock.ts";
import { holding } from "../support/held-lock.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	getBody,
	listDeliveries,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "./webhook-server.ts";

const hourMs = 3600_000;
const daysMs = 24 * hourMs;

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

/** Publishes that many events one after the other, each answered with the status. */
async function deliver(status: number, count: number): Promise<void> {
	receiver.respondWith(status);
	for (let at = 0; at < count; at += 1) {
		const { event } = await publish(server, owner, { type: "a.b", data: at });
		const isOver = (delivery: Body) => delivery.event_id === event.id && delivery.state !== "pending";
		await newestDelivery(server, owner, endpoint, isOver);
	}
}

/** Moves the database's clock on, and the server's view of it, by which attempts are dated. */
async function advance(ms: number): Promise<void> {
	await server.advance(ms);
	await (server.ctx.clock as DatabaseClock).sync();
}

const shown = async (): Promise<Body> => (await getBody(server, owner, endpoint.path)).webhook_endpoint;
const setActive = (isActive: boolean) =>
	server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: isActive } });

describe("an endpoint that fails for days", () => {
	it("is disabled with a reason: first failure 5 days ago, no success since, 10 attempts on 2 events", async () => {
		await deliver(500, 9);
		await advance(5 * daysMs);
		expect(await shown()).toMatchObject({ is_active: true, disabled_reason: null, health: "failing" });
		await deliver(500, 1);
		expect(await shown()).toMatchObject({
			is_active: false,
			disabled_reason: expect.stringMatching(
				/^Every attempt since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ failed\.$/,
			),
			health: "disabled",
		});
		const audit = await getBody(server, owner, `/v1/organizations/${owner.organizationId}/audit-events`);
		expect(audit.audit_events[0]).toMatchObject({
			action: "webhook_endpoint.disabled",
			actor_kind: "system",
			metadata: { endpoint_id: endpoint.id, reason: "failing" },
		});
	});

	it("stays active a minute before the 5 days are over", async () => {
		await deliver(500, 10);
		await advance(5 * daysMs - 60_000);
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: true });
	});

	it("stays active with 9 failed attempts", async () => {
		await deliver(500, 1);
		await advance(6 * daysMs);
		await deliver(500, 8);
		expect(await shown()).toMatchObject({ is_active: true });
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: false });
	});

	it("stays active while all its failures are of one event", async () => {
		await deliver(500, 1);
		await advance(6 * daysMs);
		const [{ id }] = await listDeliveries(server, owner, endpoint);
		for (let count = 0; count < 11; count += 1) {
			const path = `${endpoint.path}/deliveries/${id}/redeliver`;
			const { body } = await server.call("POST", path, { key: owner.key });
			const isOver = (delivery: Body) => delivery.id === body.delivery.id && delivery.state === "failed";
			await newestDelivery(server, owner, endpoint, isOver);
		}
		expect(await shown()).toMatchObject({ is_active: true });
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: false });
	});

	it("stays active when one success came between", async () => {
		await deliver(500, 10);
		await advance(3 * daysMs);
		await deliver(200, 1);
		await advance(3 * daysMs);
		await deliver(500, 10);
		expect(await shown()).toMatchObject({ is_active: true });
	});

	it("begins anew when it is made active again: the reason goes, and it has another 5 days", async () => {
		await deliver(500, 9);
		await advance(5 * daysMs);
		await deliver(500, 1);
		expect((await setActive(true)).body.webhook_endpoint).toMatchObject({
			is_active: true,
			disabled_reason: null,
		});
		await deliver(500, 10);
		expect(await shown()).toMatchObject({ is_active: true });
		await setActive(true);
		await advance(5 * daysMs);
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: false });
	});

	it("begins anew, too, when it is made active while it is just being disabled", async () => {
		await deliver(500, 9);
		await advance(5 * daysMs);
		// What disables it also writes to the audit log: held there, it has disabled, and nobody sees it yet.
		const holder = await holding(server, "lock table audit_events in share row exclusive mode");
		receiver.respondWith(500);
		await publish(server, owner, { type: "a.b", data: 1 });
		await holder.waitForWaiting(1, "capydb-engine");
		const changed = setActive(true);
		await holder.waitForWaiting(1, "capydb-api");
		await holder.release();
		expect((await changed).body.webhook_endpoint).toMatchObject({ is_active: true, disabled_reason: null });
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: true });
	});
});

describe("an answer of 410", () => {
	it("disables the endpoint with a reason and fails its delivery", async () => {
		await deliver(410, 1);
		expect(await shown()).toMatchObject({
			is_active: false,
			disabled_reason: "The receiver answered 410 Gone.",
			health: "disabled",
		});
		const [delivery] = await listDeliveries(server, owner, endpoint);
		expect(delivery).toMatchObject({ state: "failed", attempts: 1, response_status: 410 });
		const { deliveries } = await publish(server, owner, { type: "a.b", data: 1 });
		expect(deliveries).toBe(0);
	});

	it("leaves what else was pending to wait, and to go on when the endpoint is active again", async () => {
		receiver.respondWith(410, 200);
		const events = Array.from({ length: 60 }, (_, at) => ({ type: "a.b", data: at }));
		await publish(server, owner, { events });
		await until(async () => !(await shown()).is_active);
		await passTime(server, 60_000, endpoint);
		await setActive(true);
		await until(async () => {
			const list = await listDeliveries(server, owner, endpoint, "?limit=250");
			return list.every(({ state }) => state !== "pending");
		});
		const list = await listDeliveries(server, owner, endpoint, "?limit=250");
		expect(list.filter(({ state }) => state === "failed")).toHaveLength(1);
		expect(list.every(({ attempts }) => attempts === 1)).toBe(true);
	});

	it("of a URL that was changed meanwhile does not disable the endpoint", async () => {
		const asked = Promise.withResolvers<void>();
		receiver.respondWith(async () => {
			await asked.promise;
			return 410;
		});
		await publish(server, owner, { type: "a.b", data: 1 });
		await receiver.waitFor(1);
		const next = await receiving();
		await server.call("PATCH", endpoint.path, { key: owner.key, body: { url: next.url } });
		asked.resolve();
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "failed");
		expect(await shown()).toMatchObject({ is_active: true, disabled_reason: null });
	});
});
