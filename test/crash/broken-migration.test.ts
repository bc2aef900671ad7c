import pg from "pg";
import { expect, inject, it, onTestFinished } from "vitest";
import { migrateDatabase } from "../../src/platform/migrate.ts";
import { emptyDatabase } from "../support/empty-database.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

async function connected(database: string): Promise<pg.Client> {
	const url = new URL(inject("clusterUrl"));
	url.pathname = `/${database}`;
	const client = new pg.Client({ connectionString: url.href });
	await client.connect();
	return client;
}

it("a migration that dies half way leaves nothing half made, and the next start makes all of it, no index invalid", async () => {
	const url = new URL(await emptyDatabase());
	const name = url.pathname.slice(1);
	const admin = await connected("postgres");
	onTestFinished(() => admin.end());
	const watcher = await connected(name);
	onTestFinished(() => watcher.end());
	const count = async (query: string) =>
		Number((await watcher.query(`select count(*) ${query}`)).rows[0].count);

	// The last of its tables is about to be made by somebody else: the migration waits for that, with the rest made.
	await watcher.query("begin; create table webhook_endpoints (id int)");
	const migrating = migrateDatabase(url.href);
	const refused = expect(migrating).rejects.toThrow();
	const waiting = `from pg_stat_activity where datname = '${name}' and application_name = 'capydb-migrate'
		and wait_event_type = 'Lock'`;
	await until(async () => (await admin.query(`select pid ${waiting}`)).rowCount === 1);
	await admin.query(`select pg_terminate_backend(pid) ${waiting}`);
	await refused;
	await watcher.query("rollback");
	expect(await count("from pg_class where relnamespace = 'public'::regnamespace")).toBe(0);
	expect(await count("from pg_proc where pronamespace = 'public'::regnamespace")).toBe(0);

	const server = await startTestServer({ databaseUrl: url.href });
	expect((await server.call("GET", "/readyz", { key: null })).body.checks.migrations).toBe("ok");
	expect(await count("from pg_index where not indisvalid")).toBe(0);
	expect(await count("from pg_constraint where not convalidated")).toBe(0);
	await server.close();
});
