import fastify from "fastify";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { createLoop } from "../../src/core/loop.ts";
import { healthRoutes } from "../../src/http/health.ts";
import { startTestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";

const loops = ["clock", "deliveries", "delivery_sweep", "inbound_sweep", "queue"];

describe("GET /readyz", () => {
	it("names the database, its migrations and every loop of the process", async () => {
		const server = await startTestServer();
		const { status, body } = await server.call("GET", "/readyz", { key: null });
		const names = ["database", "migrations", ...loops];
		expect([status, body.status]).toEqual([200, "ok"]);
		expect(body.checks).toEqual(Object.fromEntries(names.map((name) => [name, "ok"])));
		const api = await startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: "api" } });
		const ofApi = await api.call("GET", "/readyz", { key: null });
		expect(Object.keys(ofApi.body.checks).sort()).toEqual(["clock", "database", "migrations", "queue"]);
	});

	it("is red on a database that lacks a migration, as after an older backup was put back", async () => {
		const server = await startTestServer();
		await server.sql("update drizzle.__drizzle_migrations set created_at = created_at - 1");
		const { status, body } = await server.call("GET", "/readyz", { key: null });
		expect([status, body.status, body.checks.migrations]).toEqual([503, "unavailable", "missing"]);
		await server.sql("update drizzle.__drizzle_migrations set created_at = created_at + 1");
		expect((await server.call("GET", "/readyz", { key: null })).status).toBe(200);
	});

	it("stays green while callers hold every connection of the API: a balancer would take away all replicas at once", async () => {
		const server = await startTestServer();
		const holder = new pg.Client({ connectionString: server.databaseUrl });
		await holder.connect();
		await holder.query("begin; lock table organizations in access exclusive mode");
		const held = Array.from({ length: 25 }, () =>
			server.call("GET", "/v1/organizations/org_01h455vb4pex5vsknk084sn02q"),
		);
		await until(async () => {
			const waiting = await server.sql(`select from pg_stat_activity where wait_event_type = 'Lock'
				and datname = current_database() and application_name = 'capydb-api'`);
			return waiting.length === 20;
		});
		const { status, body } = await server.call("GET", "/readyz", { key: null });
		await holder.end();
		expect([status, body.checks.database, body.checks.migrations]).toEqual([200, "ok", "ok"]);
		await Promise.all(held);
	});
});

describe("a loop", () => {
	it("goes on after turns that fail, and is alive", async () => {
		let turns = 0;
		const loop = createLoop({
			name: "test",
			everyMs: 5,
			quietMaxMs: 5_000,
			log: silentLog,
			work: async () => {
				turns += 1;
				throw new Error("the database is away");
			},
		});
		expect(loop.isAlive()).toBe(false);
		loop.start();
		onTestFinished(() => loop.stop());
		await until(() => turns > 3);
		expect(loop.isAlive()).toBe(true);
		loop.stop();
		expect(loop.isAlive()).toBe(false);
	});

	it("whose turn does not end is dead, and makes /readyz red by its name", async () => {
		const { promise, resolve } = Promise.withResolvers<void>();
		let turns = 0;
		const loop = createLoop({
			name: "stuck",
			everyMs: 5,
			quietMaxMs: 300,
			log: silentLog,
			work: () => {
				turns += 1;
				return turns === 2 ? promise : Promise.resolve();
			},
		});
		loop.start();
		onTestFinished(() => loop.stop());
		const app = fastify();
		healthRoutes(app, { stuck: async () => (loop.isAlive() ? null : "stopped") });
		onTestFinished(() => app.close());
		await until(async () => (await app.inject("/readyz")).statusCode === 503);
		expect((await app.inject("/readyz")).json()).toEqual({
			status: "unavailable",
			checks: { stuck: "stopped" },
		});
		expect((await app.inject("/healthz")).statusCode).toBe(200);
		resolve();
		await until(async () => (await app.inject("/readyz")).statusCode === 200);
		await until(() => turns > 2);
	});

	it("a check that gets no answer does not hold up the probe", async () => {
		const app = fastify();
		healthRoutes(app, { silent: () => new Promise(() => undefined) });
		onTestFinished(() => app.close());
		const answer = await app.inject("/readyz");
		expect([answer.statusCode, answer.json().checks]).toEqual([503, { silent: "no answer" }]);
	});
});
