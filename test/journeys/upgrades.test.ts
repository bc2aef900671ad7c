import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { bootstrap } from "../../src/projects/bootstrap.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const journal = fileURLToPath(new URL("../../migrations/meta/_journal.json", import.meta.url));
/** What `migrateDatabase` takes. */
const lockKey = 7_266_001;

/** A database without anything in it. It goes after the servers that the test starts on it. */
async function emptyDatabase(): Promise<string> {
	const name = `capydb_empty_${randomBytes(4).toString("hex")}`;
	const admin = new pg.Client({ connectionString: inject("clusterUrl") });
	await admin.connect();
	onTestFinished(async () => {
		await admin.query(`drop database if exists "${name}" with (force)`);
		await admin.end();
	});
	await admin.query(`create database "${name}"`);
	const url = new URL(inject("clusterUrl"));
	url.pathname = `/${name}`;
	return url.href;
}

async function start(databaseUrl: string): Promise<TestServer> {
	const server = await startTestServer({ databaseUrl, keep: true });
	onTestFinished(() => server.close());
	return server;
}

async function countMigrations(server: TestServer): Promise<number | undefined> {
	const [row] = await server.sql<{ count: number }>(
		"select count(*)::int as count from drizzle.__drizzle_migrations",
	);
	return row?.count;
}

describe("starting on a database that lacks migrations", () => {
	it("ten replicas that start together on an empty database migrate it once, and all become ready", async () => {
		const databaseUrl = await emptyDatabase();
		const servers = await Promise.all(Array.from({ length: 10 }, () => start(databaseUrl)));
		const [first] = servers as [TestServer, ...TestServer[]];
		const { entries } = JSON.parse(await readFile(journal, "utf8"));
		expect(entries.length).toBeGreaterThan(0);
		expect(await countMigrations(first)).toBe(entries.length);
		for (const server of servers) {
			const ready = await until(async () => {
				const answer = await server.call("GET", "/readyz", { key: null });
				return answer.status === 200 && answer;
			});
			expect(ready.body).toMatchObject({ status: "ok", checks: { migrations: "ok", queue: "ok" } });
		}
		const made = await Promise.all(servers.map((server) => bootstrap(server.ctx)));
		expect(made.filter((each) => each !== null)).toHaveLength(1);
		const [schedules] = await first.sql<{ total: number; distinct: number }>(
			"select count(*)::int as total, count(distinct name)::int as distinct from pgboss.schedule",
		);
		expect(schedules?.total).toBeGreaterThan(0);
		expect(schedules?.total).toBe(schedules?.distinct);
	});

	it("a start waits while another one migrates, and takes over when that one dies", async () => {
		const databaseUrl = await emptyDatabase();
		const migrating = new pg.Client({ connectionString: databaseUrl });
		// It is ended from outside, below.
		migrating.on("error", () => undefined);
		await migrating.connect();
		const { rows } = await migrating.query("select pg_advisory_lock($1), pg_backend_pid() as pid", [lockKey]);
		await migrating.query("begin");
		await migrating.query("create schema drizzle");

		const starting = start(databaseUrl);
		const watcher = new pg.Client({ connectionString: databaseUrl });
		await watcher.connect();
		onTestFinished(() => watcher.end());
		const waits = "select from pg_locks where locktype = 'advisory' and not granted and objid = $1";
		await until(async () => (await watcher.query(waits, [lockKey])).rowCount === 1, {
			what: "the second start",
		});
		await watcher.query("select pg_terminate_backend($1)", [rows[0].pid]);
		const server = await starting;
		expect((await server.call("GET", "/readyz", { key: null })).body.checks.migrations).toBe("ok");
	});
});
