import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { failureStore } from "../../src/deliveries/engine/failure-store.ts";
import { ourLosses } from "../../src/deliveries/engine/verdict.ts";
import type { DatabaseClock } from "../../src/platform/database-clock.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { measuring } from "../support/explain.ts";
import { holding } from "../support/held-lock.ts";
import type { Receiver, Reply } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	getBody,
	listAttempts,
	listDeliveries,
	newestDelivery,
	type Owner,
	passLeases,
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

/** Publishes that many events one after the other, each answered in the same way. */
async function deliver(reply: Reply, count: number): Promise<void> {
	receiver.respondWith(reply);
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

/** Fails for days, and often enough, with one event alone. */
async function failOneEvent(): Promise<void> {
	await deliver(500, 1);
	await advance(6 * daysMs);
	const [{ id }] = await listDeliveries(server, owner, endpoint);
	for (let count = 0; count < 11; count += 1) {
		const path = `${endpoint.path}/deliveries/${id}/redeliver`;
		const { body } = await server.call("POST", path, { key: owner.key });
		const isOver = (delivery: Body) => delivery.id === body.delivery.id && delivery.state === "failed";
		await newestDelivery(server, owner, endpoint, isOver);
	}
}

/** Publishes an event whose delivery is left as a server that died in its 100th attempt leaves it, and given up. */
async function loseDelivery(): Promise<Body> {
	await server.sql("insert into delivery_pause default values");
	const published = await publish(server, owner, { type: "a.b", data: 1 });
	await server.sql(
		`update deliveries set attempts = 100, max_attempts = 100, claim_id = gen_random_uuid(),
			updated_at = clock_now(), lease_until = clock_now() + interval '1 second'
		where endpoint_id = $1 and state = 'pending'`,
		[toUuid(endpoint.id)],
	);
	await server.sql("delete from delivery_pause");
	await passLeases(server, 2_000, endpoint);
	return published;
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
		await failOneEvent();
		expect(await shown()).toMatchObject({ is_active: true });
		await deliver(500, 1);
		expect(await shown()).toMatchObject({ is_active: false });
	});

	it("is disabled, too, when what it answers is no HTTP that can be read, which is `unknown` in the log", async () => {
		const endless = { status: 200, headers: { "x-long": "x".repeat(17 * 1024) } };
		await deliver(endless, 9);
		await advance(5 * daysMs);
		await deliver(endless, 1);
		expect(await shown()).toMatchObject({ is_active: false });
		const deliveries = await listDeliveries(server, owner, endpoint);
		expect(new Set(deliveries.map(({ error_code: code }) => code))).toEqual(new Set(["unknown"]));
	});

	it("stays active when the attempts on its other events were lost by the server", async () => {
		await failOneEvent();
		const { event } = await loseDelivery();
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state !== "pending");
		expect(delivery).toMatchObject({ event_id: event.id, state: "failed", error_code: "unknown" });
		expect(await listAttempts(server, owner, endpoint, delivery.id)).toHaveLength(2);
		expect(await shown()).toMatchObject({ is_active: true });
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

describe("looking whether an endpoint has failed for too long", () => {
	/** Failed and pending deliveries of the last days, with attempts that we lost alone, and the planner not told of them. */
	async function lose(count: number): Promise<void> {
		await server.sql(
			`with made as (
				insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
					max_attempts, next_attempt_at, error_code, created_at, updated_at)
				select $1, uuid_v7(), $2, uuid_v7(), 'a', 'event', case when n % 2 = 0 then 'failed' else 'pending' end, 1, 8,
					clock_now() + interval '1 day', 'unknown', clock_now(), clock_now()
				from generate_series(1, $3::int) n
				returning organization_id, id, endpoint_id
			)
			insert into delivery_attempts (organization_id, id, endpoint_id, delivery_id, number, at, duration_ms,
				error_code, error)
			select organization_id, uuid_v7(), endpoint_id, id, 1, clock_now(), 0, 'unknown', $4 from made`,
			[toUuid(owner.organizationId), toUuid(endpoint.id), count, ourLosses.stopped],
		);
	}

	it("costs no more the more it has failed, whatever its attempts say", async () => {
		await server.sql(
			`update endpoint_health set failing_since = clock_now() - interval '6 days', consecutive_failures = 10
			where endpoint_id = $1`,
			[toUuid(endpoint.id)],
		);
		const pool = openDatabase({
			url: server.databaseUrl,
			applicationName: "test",
			connectionsMax: 1,
			log: silentLog,
			statementTimeoutMs: 30_000,
			plansByKey: true,
		});
		onTestFinished(() => pool.close());
		const pages = async () => {
			const measured: { pages: number; wastedRows: number }[] = [];
			await failureStore(measuring(pool, measured)).disableFailing([endpoint.id]);
			return measured[0]?.pages ?? Number.NaN;
		};
		await lose(1_000);
		const few = await pages();
		await lose(60_000);
		expect(await pages()).toBeLessThan(2 * few);
		await server.sql("analyze deliveries, delivery_attempts");
		expect(await pages()).toBeLessThan(2 * few);
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
