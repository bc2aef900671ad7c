import pg from "pg";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { DatabaseClock } from "../../src/platform/database-clock.ts";
import { maintainTables } from "../../src/retention/maintain-tables.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	getBody,
	listAttempts,
	listDeliveries,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { addDeployment } from "../deployments/add-deployment.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const dayMs = 24 * 3600_000;

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeEach(async () => {
	server = await startTestServer({ env: { RETENTION_DAYS: "30" } });
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

async function advance(ms: number): Promise<void> {
	await server.advance(ms);
	await (server.ctx.clock as DatabaseClock).sync();
}

/** A week of 2020 with an event in it. */
async function addOldEvent(): Promise<string> {
	const id = "016f7725-f800-7000-8000-000000000001";
	await server.sql(`create table events_20200106 partition of events
		for values from ('016f7725-f800-0000-0000-000000000000') to ('016f9b32-5400-0000-0000-000000000000')`);
	await server.sql(
		"insert into events (organization_id, id, type, payload, delivery_count, created_at) values ($1, $2, 'old', '{}', 1, '2020-01-06')",
		[toUuid(owner.organizationId), id],
	);
	return id;
}

async function partitions(): Promise<string[]> {
	const rows = await server.sql<{ name: string }>(
		"select relname as name from pg_class where relkind = 'r' and relname ~ '_[0-9]{8}$' order by 1",
	);
	return rows.map(({ name }) => name);
}

describe("retention", () => {
	it("drops events, deliveries and attempts after RETENTION_DAYS, whole weeks at a time", async () => {
		const { event } = await publish(server, owner, { type: "a.b", data: 1 });
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await advance(29 * dayMs);
		await maintainTables(server.ctx);
		expect(await listAttempts(server, owner, endpoint, id)).toHaveLength(1);
		await advance(9 * dayMs);
		await maintainTables(server.ctx);
		const path = `/v1/organizations/${owner.organizationId}/events`;
		expect((await server.call("GET", `${path}/${event.id}`, { key: owner.key })).status).toBe(404);
		expect(await getBody(server, owner, path)).toEqual({ events: [], next_cursor: null });
		expect(await listDeliveries(server, owner, endpoint)).toEqual([]);
		expect(await server.sql("select 1 from delivery_attempts")).toEqual([]);
	});

	it("deletes deployments of which nothing was heard for RETENTION_DAYS", async () => {
		const old = await server.tenant();
		await addDeployment(server, old);
		await addDeployment(server, old);
		await advance(29 * dayMs);
		await maintainTables(server.ctx);
		const path = `/v1/projects/${old.projectId}/deployments`;
		const list = async () => (await server.call("GET", path, { key: old.key })).body.deployments;
		const [heard, ...others] = await list();
		expect(others).toHaveLength(1);
		await server.sql("update deployments set updated_at = clock_now() where id = $1", [toUuid(heard.id)]);
		await advance(2 * dayMs);
		await maintainTables(server.ctx);
		expect(await list()).toMatchObject([{ id: heard.id }]);
	});

	it("goes on delivering afterwards", async () => {
		await advance(60 * dayMs);
		await maintainTables(server.ctx);
		await publish(server, owner, { type: "a.b", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	});

	it("closes a retry whose event was dropped as expired, without an attempt", async () => {
		const eventId = await addOldEvent();
		await server.sql(
			`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
				max_attempts, next_attempt_at, created_at, updated_at)
			values ($1, uuid_v7(), $2, $3, 'old', 'event', 'pending', 3, 8, clock_now() + interval '1 hour', clock_now(), clock_now())`,
			[toUuid(owner.organizationId), toUuid(endpoint.id), eventId],
		);
		await maintainTables(server.ctx);
		await passTime(server, 3600_000, endpoint);
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "failed");
		expect(delivery).toMatchObject({
			attempts: 3,
			next_attempt_at: null,
			error_code: "expired",
			last_error: "The event is older than its retention, so there is nothing left to send.",
			payload: null,
		});
		expect(await listAttempts(server, owner, endpoint, delivery.id)).toEqual([]);
		expect(receiver.requests).toEqual([]);
		expect((await getBody(server, owner, endpoint.path)).webhook_endpoint.health).toBe("healthy");
	});

	it("does not hold up publishing and delivering while a long reader delays the drop", async () => {
		await addOldEvent();
		const reader = new pg.Client({ connectionString: server.databaseUrl });
		await reader.connect();
		onTestFinished(() => reader.end());
		await reader.query("begin isolation level repeatable read");
		await reader.query("select count(*) from events");
		const maintained = maintainTables(server.ctx);
		await until(async () => {
			const waiting = await server.sql(
				"select 1 from pg_stat_activity where query like 'alter table \"events\" detach%' and wait_event_type = 'Lock' and datname = current_database()",
			);
			return waiting.length > 0;
		});
		await publish(server, owner, { type: "a.b", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await reader.query("commit");
		await maintained;
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("makes up for a drop that was cut off before its end", async () => {
		await addOldEvent();
		const reader = new pg.Client({ connectionString: server.databaseUrl });
		await reader.connect();
		onTestFinished(() => reader.end());
		await reader.query("begin isolation level repeatable read");
		await reader.query("select count(*) from events");
		const cut = new pg.Client({ connectionString: server.databaseUrl, statement_timeout: 300 });
		await cut.connect();
		onTestFinished(() => cut.end());
		const cutOff = cut.query('alter table "events" detach partition "events_20200106" concurrently');
		await expect(cutOff).rejects.toThrow("statement timeout");
		await reader.query("commit");
		await maintainTables(server.ctx);
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("makes up for a drop that was cut off half way", async () => {
		await addOldEvent();
		await server.sql('alter table "events" detach partition "events_20200106" concurrently');
		expect(await partitions()).toContain("events_20200106");
		await maintainTables(server.ctx);
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("forgets idempotency keys after 24 hours: the same key is a new event then", async () => {
		const once = () => publish(server, owner, { type: "a.b", data: 1, idempotency_key: "k" });
		const first = await once();
		await advance(dayMs - 60_000);
		await maintainTables(server.ctx);
		expect((await once()).event.id).toBe(first.event.id);
		await advance(120_000);
		await maintainTables(server.ctx);
		expect(await server.sql("select 1 from event_idempotency_keys")).toEqual([]);
		expect((await once()).event.id).not.toBe(first.event.id);
	});
});
