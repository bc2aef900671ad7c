import { randomBytes } from "node:crypto";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { isMigratedAt, migrateDatabase } from "../../src/platform/migrate.ts";
import { addEndpoint, addOrganization, publish, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { citusRules } from "./citus-rules.ts";

const distributed = ["audit_events", "deliveries", "delivery_attempts", "events", "inbound_webhooks"];

/** A database that has nothing yet, but, where a test asks for them, the rules of Citus. */
async function emptyDatabase(rules: string): Promise<{ url: string; client: pg.Client }> {
	const name = `capydb_citus_${randomBytes(4).toString("hex")}`;
	const admin = new pg.Client({ connectionString: inject("clusterUrl") });
	await admin.connect();
	await admin.query(`create database "${name}"`);
	const url = new URL(inject("clusterUrl"));
	url.pathname = `/${name}`;
	const client = new pg.Client({ connectionString: url.href });
	await client.connect();
	onTestFinished(async () => {
		await client.end();
		await admin.query(`drop database if exists "${name}" with (force)`);
		await admin.end();
	});
	await client.query(rules);
	return { url: url.href, client };
}

describe("the rules that stand in for Citus", () => {
	it.each([
		["a primary key without the column", "id uuid primary key, org uuid not null", "org", "none"],
		["a unique key without it", "id uuid not null, org uuid not null, unique (id)", "org", "none"],
		["a key that only includes it", "id uuid, org uuid not null, unique (id) include (org)", "org", "none"],
		["no such column", "org uuid not null", "tenant", "none"],
		["a column that may be null", "org uuid", "org", "none"],
		["a column of another type than its neighbours'", "org text not null", "org", "base"],
		["a foreign key to a local table", "org uuid not null, other uuid references plain", "org", "base"],
		[
			"a foreign key without it",
			"org uuid not null, id uuid, foreign key (id) references base (org)",
			"org",
			"base",
		],
		["a foreign key to other nodes", "org uuid not null references base", "org", "none"],
	])("refuse %s", async (_, columns, column, neighbour) => {
		const { client } = await emptyDatabase(citusRules);
		await client.query("create table plain (id uuid primary key)");
		await client.query("create table base (org uuid primary key)");
		await client.query("select create_distributed_table('base', 'org', colocate_with => 'none')");
		await client.query(`create table tried (${columns})`);
		const distribute = "select create_distributed_table('tried', $1, colocate_with => $2)";
		await expect(client.query(distribute, [column, neighbour])).rejects.toThrow();
	});

	it("refuse a unique key of a single partition, and a table that a local one refers to", async () => {
		const { client } = await emptyDatabase(citusRules);
		await client.query("create table parts (id int, org uuid not null) partition by range (id)");
		await client.query("create table part partition of parts for values from (0) to (9)");
		await client.query("create unique index on part (id)");
		await client.query("create table named (org uuid primary key)");
		await client.query("create table naming (org uuid references named)");
		const distribute = "select create_distributed_table($1, 'org')";
		await expect(client.query(distribute, ["parts"])).rejects.toThrow("unique");
		await expect(client.query(distribute, ["named"])).rejects.toThrow("refers to it");
	});

	it("take a table whose keys hold the column, with a foreign key beside its neighbour", async () => {
		const { client } = await emptyDatabase(citusRules);
		await client.query("create table base (org uuid primary key)");
		await client.query("select create_distributed_table('base', 'org')");
		const columns = "id uuid, org uuid not null references base, primary key (org, id)";
		await client.query(`create table tried (${columns})`);
		await client.query("select create_distributed_table('tried', 'org', colocate_with => 'base')");
		expect((await client.query("select from pg_dist_partition")).rowCount).toBe(2);
	});
});

describe("DB_BACKEND=citus", () => {
	it("distributes each growing table by organization, next to the others, once", async () => {
		const { url, client } = await emptyDatabase(citusRules);
		await Promise.all([migrateDatabase(url, "citus"), migrateDatabase(url, "citus")]);
		await migrateDatabase(url, "citus");
		expect(await isMigratedAt(url)).toBe(true);
		const { rows } = await client.query(
			"select logicalrelid::text as name, partkey, colocationid from pg_dist_partition order by 1",
		);
		expect(rows).toEqual(distributed.map((name) => ({ name, partkey: "organization_id", colocationid: 1 })));
		const partitioned = await client.query("select relname from pg_class where relkind = 'p' order by 1");
		expect(distributed).toEqual(expect.arrayContaining(partitioned.rows.map(({ relname }) => relname)));
	});

	it("distributes a database that is in use without it already", async () => {
		const { url, client } = await emptyDatabase("");
		await migrateDatabase(url);
		await client.query(citusRules);
		await migrateDatabase(url, "citus");
		expect((await client.query("select from pg_dist_partition")).rowCount).toBe(distributed.length);
	});

	it("runs the server, as far as plain Postgres can tell, and drops partitions as Citus lets them be dropped", async () => {
		const { url, client } = await emptyDatabase(citusRules);
		const server = await startTestServer({ databaseUrl: url, env: { DB_BACKEND: "citus" } });
		const owner = await addOrganization(server);
		const receiver = await receiving();
		await addEndpoint(server, owner, { url: receiver.url });
		await publish(server, owner, { type: "a", data: 1 });
		await receiver.waitFor(1);
		const name = "events_20200106";
		await client.query(`create table ${name} partition of events
			for values from ('016f7877-0000-7000-8000-000000000000') to ('016f9c83-5800-7000-8000-000000000000')`);
		await client.query(`create function no_detach() returns event_trigger language plpgsql as
			'begin if current_query() ~* ''detach'' then raise ''detach is refused''; end if; end'`);
		await client.query(`create event trigger no_detach on ddl_command_start when tag in ('ALTER TABLE')
			execute function no_detach()`);
		await server.ctx.tasks.send("tables.maintain", {});
		await until(async () => (await client.query("select to_regclass($1) as it", [name])).rows[0].it === null);
	});

	it("refuses to start where the database has no Citus", async () => {
		const { url } = await emptyDatabase("");
		const starting = startTestServer({ databaseUrl: url, env: { DB_BACKEND: "citus" } });
		await expect(starting).rejects.toThrow(/^DB_BACKEND=citus needs Citus .*`create extension citus`/);
	});

	it("refuses to start where the database refuses what sending needs, rather than take events", async () => {
		const { url, client } = await emptyDatabase(citusRules);
		await migrateDatabase(url, "citus");
		// As Citus does with a lock across organizations.
		await client.query(`create function refuse() returns trigger language plpgsql as
			'begin raise ''could not run distributed query with FOR UPDATE/SHARE commands''; end'`);
		await client.query(`create trigger refuse before update on delivery_lanes for each statement
			execute function refuse()`);
		const starting = startTestServer({ databaseUrl: url, env: { DB_BACKEND: "citus" } });
		await expect(starting).rejects.toThrow(/cannot send deliveries: .*\(could not run distributed query/);
	});
});
