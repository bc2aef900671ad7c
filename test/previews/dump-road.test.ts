import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
	asCustomer,
	asSuperuser,
	directUrl,
	ended,
	refusalOf,
	withDatabase,
} from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type DebianCluster, debianBinaries, startDebianCluster } from "./debian-cluster.ts";
import { ask, made, previewUrl } from "./preview-server.ts";

let cluster: DebianCluster;
let server: TestServer;

const env = () => ({
	PROJECT_CLUSTER_URL: cluster.url,
	PG_DUMP: join(debianBinaries, "pg_dump"),
	PROJECT_DB_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8",
});

beforeAll(async () => {
	cluster = await startDebianCluster();
	server = await startTestServer({ keep: true, env: env() });
});
afterAll(async () => {
	await server.close();
	await cluster.stop();
});

const onCluster = <Row extends pg.QueryResultRow>(...statements: string[]) =>
	asCustomer<Row>(cluster.url, ...statements);

async function standing(id: string): Promise<number> {
	const rows = await onCluster(
		`select 1 from pg_database where datname = '${id}' union all select 1 from pg_roles where rolname = '${id}'`,
	);
	return rows.length;
}

const people = [
	"create table public.people (id int generated always as identity primary key, name text)",
	"insert into public.people (name) select 'person ' || n from generate_series(1, 20000) n",
	"create schema shop",
	"create table shop.parts (at date, weight numeric) partition by range (at)",
	"create table shop.parts_1 partition of shop.parts for values from ('2020-01-01') to ('2030-01-01')",
	"insert into shop.parts values ('2024-01-01', 1.5)",
	"create view public.names as select name from public.people",
	"create function public.twice(n int) returns int language sql as 'select n * 2'",
	"create extension pgcrypto",
	"select lo_from_bytea(4711, 'big')",
	"create publication pub for table public.people",
];

async function tenantWithPeople(): Promise<Tenant & { url: string }> {
	const tenant = await server.tenant();
	const url = await directUrl(server, tenant);
	await asCustomer(url, ...people);
	return { ...tenant, url };
}

/** A database that a customer runs, with the tables that the cluster's superuser made in it by these statements. */
async function customersDatabase(...statements: string[]): Promise<string> {
	const name = `byo_${randomBytes(5).toString("hex")}`;
	await onCluster(
		`create role ${name} login password 'p@ss ''w/ord'`,
		`create database ${name} owner ${name}`,
	);
	if (statements.length > 0) await asCustomer(withDatabase(cluster.url, name), ...statements);
	const { port } = new URL(cluster.url);
	return `postgres://${name}:p%40ss%20%27w%2Ford@127.0.0.1:${port}/${name}`;
}

async function bring(databaseUrl: string): Promise<Tenant> {
	const tenant = await server.tenant();
	const body = { name: "byo", database_url: databaseUrl };
	const answer = await server.call("POST", "/v1/projects", { key: tenant.key, body });
	expect((await ended(server, answer, tenant.key)).error).toBeNull();
	return { ...tenant, projectId: answer.body.project.id };
}

describe("a clone with pg_dump and pg_restore", () => {
	it("holds all that the project's database holds, while somebody works in it, every object its own role's", async () => {
		const tenant = await tenantWithPeople();
		const client = new pg.Client({ connectionString: tenant.url });
		await client.connect();
		const { id, job } = await made(server, tenant, { mode: "clone" });
		await client.end();
		expect(job).toMatchObject({ state: "completed", last_exit_code: 0, error: null });
		expect(job.last_stdout).toContain("copied the project's database with pg_dump and pg_restore");
		const url = await previewUrl(server, tenant, id);
		expect(await asCustomer(url, "select count(*)::int, max(name) from public.people")).toEqual([
			{ count: 20_000, max: "person 9999" },
		]);
		expect(await asCustomer(url, "select weight::text from shop.parts")).toEqual([{ weight: "1.5" }]);
		expect(await asCustomer(url, "select convert_from(lo_get(4711), 'UTF8') as lo")).toEqual([{ lo: "big" }]);
		await asCustomer(
			url,
			"insert into public.people (name) values ('Mary')",
			"drop view public.names",
			"select public.gen_random_bytes(public.twice(2))",
			"drop schema shop cascade",
			"drop extension pgcrypto",
		);
		expect(await asCustomer(url, "select 1 from pg_publication")).toEqual([]);
		expect(await asCustomer(tenant.url, "select count(*)::int from public.people")).toEqual([
			{ count: 20_000 },
		]);
		expect(await refusalOf(withDatabase(url, tenant.projectId))).toBe("42501");
		expect(await refusalOf(withDatabase(tenant.url, id))).toBe("42501");
	});

	it("is made anew from the project as it is now when it is reset, under the same URL", async () => {
		const tenant = await tenantWithPeople();
		const { id, path } = await made(server, tenant, { mode: "clone" });
		const url = await previewUrl(server, tenant, id);
		await asCustomer(url, "drop table public.people cascade");
		await asCustomer(tenant.url, "delete from public.people where id > 3");
		const answer = await server.call("POST", `${path}/reset`, { key: tenant.key });
		expect((await ended(server, answer, tenant.key)).error).toBeNull();
		expect(await previewUrl(server, tenant, id)).toBe(url);
		expect(await asCustomer(url, "select count(*)::int from public.people")).toEqual([{ count: 3 }]);
	});

	it("shows its passwords in no process list, and is cut off when the preview is deleted", async () => {
		const tenant = await tenantWithPeople();
		const client = new pg.Client({ connectionString: tenant.url });
		await client.connect();
		await client.query("begin; lock table public.people in access exclusive mode");
		const answer = await ask(server, tenant, { mode: "clone" });
		const running = await until(async () => {
			const lines = await toolLines();
			return lines.length >= 2 && lines;
		});
		const { password } = new URL(tenant.url);
		for (const line of running) expect(line).not.toContain(password);
		const path = `/v1/preview-databases/${answer.body.preview.id}`;
		const gone = await server.call("DELETE", path, { key: tenant.key });
		const job = await ended(server, answer, tenant.key);
		expect(job).toMatchObject({ state: "failed", error: "The preview database is being deleted." });
		expect((await ended(server, gone, tenant.key)).state).toBe("completed");
		expect(await toolLines()).toEqual([]);
		expect(await standing(answer.body.preview.id)).toBe(0);
		await client.query("rollback");
		await client.end();
	});

	it("cut off by the end of the process is made by the next one", async () => {
		const api = await startTestServer({ env: { ...env(), ROLE: "api" } });
		const replica = () => startTestServer({ databaseUrl: api.databaseUrl, env: env() });
		const first = await replica();
		const tenant = await api.tenant();
		const url = await directUrl(api, tenant);
		await asCustomer(url, ...people);
		const client = new pg.Client({ connectionString: url });
		await client.connect();
		await client.query("begin; lock table public.people in access exclusive mode");
		const answer = await ask(api, tenant, { mode: "clone" });
		await until(async () => (await toolLines()).length >= 2);
		await first.close();
		expect(await toolLines()).toEqual([]);
		await client.query("rollback");
		await client.end();
		await replica();
		const job = await until(async () => {
			const { body } = await api.call("GET", `/v1/jobs/${answer.body.job.id}`, { key: tenant.key });
			return body.job.state === "completed" && body.job;
		});
		expect(job).toMatchObject({ attempts: 1, last_exit_code: 0 });
		const cloned = await previewUrl(api, tenant, answer.body.preview.id);
		expect(await asCustomer(cloned, "select count(*)::int from public.people")).toEqual([{ count: 20_000 }]);
	});
});

describe("a clone of a bring-your-own database", () => {
	it("stands on the project cluster and is the preview's own", async () => {
		const source = await customersDatabase(
			"comment on schema public is 'the customer''s'",
			"create table public.t (id int)",
			"insert into public.t values (7)",
			"grant select on public.t to public",
		);
		const tenant = await bring(source);
		const { id, job } = await made(server, tenant, { mode: "clone" });
		expect(job.error).toBeNull();
		const url = await previewUrl(server, tenant, id);
		expect(new URL(url).username).toBe(id);
		expect(await asCustomer(url, "alter table public.t add column x int", "select id from public.t")).toEqual(
			[{ id: 7 }],
		);
	});

	it("fails for good with what pg_dump may not read, with its exit code, and leaves nothing", async () => {
		const source = await customersDatabase(
			"create table public.secret (word text)",
			"revoke all on public.secret from public",
		);
		const tenant = await bring(source);
		const { id, job } = await made(server, tenant, { mode: "clone" });
		expect(job).toMatchObject({
			state: "failed",
			attempts: 1,
			retry_classification: "permanent",
			last_exit_code: 1,
			last_stderr: "permission denied for table secret",
			error: "pg_dump failed with exit code 1: permission denied for table secret.",
		});
		expect(await standing(id)).toBe(0);
	});

	it("fails for good with what the cluster does not let in, without showing a row, and leaves nothing", async () => {
		const source = await customersDatabase("create extension dblink");
		const tenant = await bring(source);
		const { id, job } = await made(server, tenant, { mode: "clone" });
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent", last_exit_code: 1 });
		expect(job.last_stderr).toContain('permission denied to create extension "dblink"');
		expect(await standing(id)).toBe(0);
	});

	it("says which package is missing when its server is newer than the tools", async () => {
		const name = `byo_${randomBytes(5).toString("hex")}`;
		await asSuperuser(`create role ${name} login password 'pw'`, `create database ${name} owner ${name}`);
		const { port } = new URL(inject("clusterUrl"));
		const tenant = await bring(`postgres://${name}:pw@127.0.0.1:${port}/${name}`);
		const { id, job } = await made(server, tenant, { mode: "clone" });
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(job.error).toMatch(/pg_dump has version 15, the database 18.*postgresql-client-18/);
		expect(await standing(id)).toBe(0);
		await server.call("DELETE", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
		await asSuperuser(`drop database ${name} with (force)`, `drop role ${name}`);
	});
});

/** Command lines of the tools that this process has started. */
async function toolLines(): Promise<string[]> {
	const lines = [];
	for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
		const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
		const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
		const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
		const isTool = parent === process.pid && /pg_(dump|restore)/.test(line);
		if (isTool) lines.push(line.replaceAll("\0", " "));
	}
	return lines;
}
