import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { bootstrap } from "../../src/projects/bootstrap.ts";
import { emptyDatabase } from "../support/empty-database.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { openFleet } from "./fleet.ts";
import { startPublishing } from "./publishing.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const journal = join(root, "migrations", "meta", "_journal.json");
/** What `migrateDatabase` takes. */
const lockKey = 7_266_001;

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

describe("a release that brings a migration", () => {
	it("starts beside the one that runs, under load, without an error for anybody, and takes over", async () => {
		const { server, replicas, balancer, owner, receiver } = await openFleet();
		const former = await replicas.add("all");
		balancer.add(former.url);
		await until(() => balancer.ready() === 1);
		const publishing = startPublishing(balancer, owner, 4);
		onTestFinished(() => publishing.stop());
		await publishing.goOn(100);

		const report = await openReport(server);
		const starting = replicas.add("all", await nextRelease());
		await until(() => isMigrationWaiting(server), { what: "the migration, which waits for the report" });
		// More than were under way: whoever comes now does not wait behind the migration until the report ends.
		await publishing.goOn(100);
		await report.end();
		const next = await starting;
		expect(await server.sql("select note, score from deliveries limit 1")).toEqual([
			{ note: null, score: 0 },
		]);
		balancer.add(next.url);
		await until(() => balancer.ready() === 2);
		await publishing.goOn(100);
		former.signal("SIGTERM");
		expect(await former.exited).toEqual({ code: 0, signal: null });
		await publishing.goOn(100);
		await publishing.stop();

		expect(publishing.trouble).toEqual([]);
		await receiver.waitFor(publishing.taken.length);
		const received = receiver.requests.map(({ body }) => JSON.parse(body.toString()).data);
		expect(received.toSorted()).toEqual(publishing.taken.toSorted());
		const problems = /"level":50/;
		expect([former.output(), next.output()].filter((output) => problems.test(output))).toEqual([]);
	});
});

/** What "expand" allows, on the tables that are busiest. */
const expand = `
alter table events add column note text;
--> statement-breakpoint
alter table deliveries add column note text, add column score integer not null default 0;
--> statement-breakpoint
create index if not exists deliveries_note_idx on deliveries (note) where note is not null;
--> statement-breakpoint
create table delivery_notes (id uuid primary key, note text);
`;

/** A copy of this release with one migration more. Returns its main file. */
async function nextRelease(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-release-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	for (const name of ["src", "migrations", "package.json"]) {
		await cp(join(root, name), join(folder, name), { recursive: true });
	}
	await symlink(join(root, "node_modules"), join(folder, "node_modules"));
	const kept = JSON.parse(await readFile(journal, "utf8"));
	const last = kept.entries.at(-1);
	kept.entries.push({ ...last, idx: last.idx + 1, when: last.when + 1, tag: "9999_expand" });
	await writeFile(join(folder, "migrations", "meta", "_journal.json"), JSON.stringify(kept));
	await writeFile(join(folder, "migrations", "9999_expand.sql"), expand);
	return join(folder, "src", "main.ts");
}

/** A transaction that has read what the migration changes, and is not over yet. */
async function openReport(server: TestServer): Promise<pg.Client> {
	const report = new pg.Client({ connectionString: server.databaseUrl });
	await report.connect();
	await report.query("begin; select count(*) from deliveries");
	return report;
}

async function isMigrationWaiting(server: TestServer): Promise<boolean> {
	const waiting = await server.sql(
		"select from pg_stat_activity where application_name = 'capydb-migrate' and wait_event_type = 'Lock'",
	);
	return waiting.length > 0;
}
