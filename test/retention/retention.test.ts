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

function maintain(): Promise<void> {
	return maintainTables(server.ctx, new AbortController().signal);
}

/** A reader that goes on for hours, as pg_dump does. Returns what ends it. */
async function readEventsOn(): Promise<() => Promise<unknown>> {
	const reader = new pg.Client({ connectionString: server.databaseUrl });
	await reader.connect();
	onTestFinished(() => reader.end());
	await reader.query("begin isolation level repeatable read");
	await reader.query("select count(*) from events");
	return () => reader.query("commit");
}

/** Begins to drop the partition of `addOldEvent`, which somebody reads, and gives it up. */
async function cutDropOff(): Promise<void> {
	const cut = new pg.Client({ connectionString: server.databaseUrl, statement_timeout: 300 });
	await cut.connect();
	onTestFinished(() => cut.end());
	const cutOff = cut.query('alter table "events" detach partition "events_20200106" concurrently');
	await expect(cutOff).rejects.toThrow("statement timeout");
}

/** Waits until the drop of a partition waits for a reader. */
function untilDropWaits(): Promise<{ pid: number }> {
	return until(async () => {
		const [waiting] = await server.sql<{ pid: number }>(
			"select pid from pg_stat_activity where query like 'alter table \"events\" detach%' and wait_event_type = 'Lock' and datname = current_database()",
		);
		return waiting;
	});
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
		await maintain();
		expect(await listAttempts(server, owner, endpoint, id)).toHaveLength(1);
		await advance(9 * dayMs);
		await maintain();
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
		await maintain();
		const path = `/v1/projects/${old.projectId}/deployments`;
		const list = async () => (await server.call("GET", path, { key: old.key })).body.deployments;
		const [heard, ...others] = await list();
		expect(others).toHaveLength(1);
		await server.sql("update deployments set updated_at = clock_now() where id = $1", [toUuid(heard.id)]);
		await advance(2 * dayMs);
		await maintain();
		expect(await list()).toMatchObject([{ id: heard.id }]);
	});

	it("goes on delivering afterwards", async () => {
		await advance(60 * dayMs);
		await maintain();
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
		await maintain();
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
		const endReading = await readEventsOn();
		const maintained = maintain();
		await untilDropWaits();
		await publish(server, owner, { type: "a.b", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await endReading();
		await maintained;
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("does everything else when a reader of hours keeps a partition from being dropped", async () => {
		await addOldEvent();
		await server.sql("create table deliveries_20200106 (like deliveries)");
		await publish(server, owner, { type: "a.b", data: 1, idempotency_key: "k" });
		await advance(2 * dayMs);
		const [last] = (await partitions()).filter((name) => name.startsWith("events_")).slice(-1);
		await server.sql(`drop table "${last}"`);
		await readEventsOn();
		const failing = expect(maintain()).rejects.toThrow("1 of 7 failed");
		const { pid } = await untilDropWaits();
		// As the statement's time limit would.
		await server.sql("select pg_cancel_backend($1)", [pid]);
		await failing;
		expect(await partitions()).toContain(last);
		expect(await partitions()).not.toContain("deliveries_20200106");
		expect(await server.sql("select 1 from event_idempotency_keys")).toEqual([]);
	});

	it("makes partitions beside a reader of hours, while another's drop is cut off, and nobody waits for it", async () => {
		await addOldEvent();
		const [last] = (await partitions()).filter((name) => name.startsWith("events_")).slice(-1);
		const indexes = () =>
			server.sql("select indexname, indexdef from pg_indexes where tablename = $1 order by 1", [last]);
		const before = await indexes();
		await server.sql(`drop table "${last}"`);
		await readEventsOn();
		await cutDropOff();
		const failing = expect(maintain()).rejects.toThrow("1 of 7 failed");
		await until(async () => (await partitions()).includes(last ?? ""));
		await publish(server, owner, { type: "a.b", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await server.sql("select pg_cancel_backend($1)", [(await untilDropWaits()).pid]);
		await failing;
		expect(await indexes()).toEqual(before);
		expect(before.length).toBeGreaterThan(1);
	});

	it("makes up for a partition that was made and not attached", async () => {
		const [last] = (await partitions()).filter((name) => name.startsWith("events_")).slice(-1);
		await server.sql(`alter table events detach partition "${last}"`);
		await maintain();
		expect(
			await server.sql("select from pg_class where relname = $1 and relispartition", [last]),
		).toHaveLength(1);
	});

	it("makes up for a drop that was cut off before its end", async () => {
		await addOldEvent();
		const endReading = await readEventsOn();
		await cutDropOff();
		await endReading();
		await maintain();
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("makes up for a drop that was cut off half way", async () => {
		await addOldEvent();
		await server.sql('alter table "events" detach partition "events_20200106" concurrently');
		expect(await partitions()).toContain("events_20200106");
		await maintain();
		expect(await partitions()).not.toContain("events_20200106");
	});

	it("forgets idempotency keys after 24 hours: the same key is a new event then", async () => {
		const once = () => publish(server, owner, { type: "a.b", data: 1, idempotency_key: "k" });
		const first = await once();
		await advance(dayMs - 60_000);
		await maintain();
		expect((await once()).event.id).toBe(first.event.id);
		await advance(120_000);
		await maintain();
		expect(await server.sql("select 1 from event_idempotency_keys")).toEqual([]);
		expect((await once()).event.id).not.toBe(first.event.id);
	});

	it("deletes what has expired ten thousand at a time, until nothing of it is left", async () => {
		const { projectId } = await server.tenant();
		await server.sql("create table deleted (name text, count int)");
		await server.sql(`create function note_deleted() returns trigger language plpgsql as
			'begin insert into deleted select tg_table_name, count(*) from gone; return null; end'`);
		const tables = ["event_idempotency_keys", "inbound_dedup_keys", "deployments"];
		for (const table of tables) {
			await server.sql(`create trigger note after delete on ${table} referencing old table as gone
				for each statement execute function note_deleted()`);
		}
		const from = "from generate_series(-24999, 5) n";
		// Ten at each moment, as one batch of events has one.
		const at = "clock_now() + (n / 10 * 10 + 9) * interval '1 minute'";
		await server.sql(
			`insert into event_idempotency_keys select uuid_v7(), n::text, uuid_v7(), ${at} ${from}`,
		);
		await server.sql(`insert into inbound_dedup_keys (organization_id, integration_id, provider_event_id,
			inbound_id, expires_at) select uuid_v7(), uuid_v7(), n::text, uuid_v7(), ${at} ${from}`);
		await server.sql(
			`insert into deployments (id, organization_id, project_id, integration_id, provider, external_id, state, state_at,
				announced, context, is_preview, started_at, created_at, updated_at)
			select overlay(md5(n::text) placing '00000000' from 1)::uuid, $1, $2, uuid_v7(), 'vercel', n::text, 'ready', at, '{}', 'production', false, at, at, at
			from (select n, case when n > 0 then clock_now() else '2020-01-06' end as at ${from}) made`,
			[toUuid(owner.organizationId), toUuid(projectId as `prj_${string}`)],
		);
		await maintain();
		for (const table of tables) {
			const [row] = await server.sql<{ most: number; all: number; last: number; statements: number }>(
				`select max(count) as most, sum(count)::int as all, count(*)::int as statements,
					(select count(*)::int from ${table}) as last from deleted where name = $1`,
				[table],
			);
			expect([table, row?.statements]).toEqual([table, 3]);
			expect(row?.most).toBeLessThan(10_010);
			expect([table, row?.last, row?.all]).toEqual(
				table === "deployments" ? [table, 5, 25_000] : [table, 15, 24_990],
			);
		}
	});
});
