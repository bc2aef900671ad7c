import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createProjectDatabases } from "../../src/platform/project-db.ts";
import {
	asCustomer,
	asSuperuser,
	directUrl,
	ended,
	refusalOf,
	withDatabase,
} from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { runBuild } from "./build-by-hand.ts";
import { made, previewUrl, standing, withoutTools } from "./preview-server.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: withoutTools });
});
afterAll(() => server.close());

/** One of every kind of thing that a customer's role can make. */
const things = [
	"create table public.people (id int generated always as identity primary key, name text, boss int references public.people)",
	"insert into public.people (name) values ('Ada'), ('Grace')",
	'create schema "Odd ""Name"""',
	'create type "Odd ""Name""".mood as enum (\'sad\', \'ok\')',
	"create domain public.positive as int check (value > 0)",
	'create table "Odd ""Name""".parts (at date, mood "Odd ""Name""".mood) partition by range (at)',
	'create table public.parts_1 partition of "Odd ""Name""".parts for values from (\'2020-01-01\') to (\'2030-01-01\')',
	"create sequence public.lonely",
	"create view public.names as select name from public.people",
	"create materialized view public.counted as select count(*) from public.people",
	"create function public.twice(n int, out r int) language sql as 'select n * 2'",
	"create procedure public.nothing() language sql as 'select 1'",
	"create aggregate public.total(int) (sfunc = int4pl, stype = int)",
	"create collation public.plain (locale = 'C')",
	"create statistics public.st on id, boss from public.people",
	"create text search configuration public.ts (copy = simple)",
	"create operator public.|+| (leftarg = int, rightarg = int, function = int4pl)",
	"create index on public.people (name)",
	"create rule r as on insert to public.names do instead nothing",
	"alter default privileges in schema public grant select on tables to public",
	"select lo_from_bytea(4711, 'big')",
	"create publication pub for table public.people",
];

const ownedBy = (role: string) => `select count(*)::int as count from pg_shdepend d
	join pg_roles r on r.oid = d.refobjid join pg_database b on b.oid = d.dbid
	where r.rolname = '${role}' and b.datname = current_database() and deptype = 'o' and classid <> 'pg_default_acl'::regclass`;

async function tenantWithThings(): Promise<Tenant & { url: string }> {
	const tenant = await server.tenant();
	const url = await directUrl(server, tenant);
	await asCustomer(url, ...things);
	return { ...tenant, url };
}

describe("a clone without pg_dump", () => {
	it("holds all that the project's database holds, every object its own role's", async () => {
		const tenant = await tenantWithThings();
		const before = await asSuperuserIn(tenant.projectId, ownedBy(tenant.projectId));
		const { id, job, preview } = await made(server, tenant, { mode: "clone", name: "copy" });
		expect(job.error).toBeNull();
		expect(preview).toMatchObject({ mode: "clone", state: "ready" });
		expect(job.last_stdout).toMatch(
			/copied the project's database within the cluster\ngave \d+ objects to its role/,
		);
		const url = await previewUrl(server, tenant, id);
		expect(await asCustomer(url, "select name from public.people order by id")).toEqual([
			{ name: "Ada" },
			{ name: "Grace" },
		]);
		await asCustomer(
			url,
			"insert into public.people (name) values ('Mary')",
			"alter table public.people add column x int default public.twice(2)",
			"drop view public.names",
			"refresh materialized view public.counted",
			'drop schema "Odd ""Name""" cascade',
			"create table public.fresh (id int)",
			"select lo_unlink(4711)",
		);
		expect(await asSuperuserIn(id, ownedBy(tenant.projectId))).toEqual([{ count: 0 }]);
		expect(await asSuperuserIn(tenant.projectId, ownedBy(tenant.projectId))).toEqual(before);
		expect(await asCustomer(tenant.url, "select count(*)::int from public.people")).toEqual([{ count: 2 }]);
	});

	it("keeps project and preview apart: neither role enters the other's database, nor is a member of it", async () => {
		const tenant = await tenantWithThings();
		const { id } = await made(server, tenant, { mode: "clone" });
		const url = await previewUrl(server, tenant, id);
		expect(await refusalOf(withDatabase(url, tenant.projectId))).toBe("42501");
		expect(await refusalOf(withDatabase(tenant.url, id))).toBe("42501");
		expect(await refusalOf(tenant.url, `set role "${id}"`)).toBe("42501");
		const members = await asSuperuser(`select 1 from pg_auth_members m
			join pg_roles r on r.oid in (m.roleid, m.member) where r.rolname = '${id}'`);
		expect(members).toEqual([]);
		const [acl] = await asSuperuserIn(
			id,
			`select has_schema_privilege('${tenant.projectId}', 'public', 'CREATE') as may`,
		);
		expect(acl).toEqual({ may: false });
	});

	it("is made anew from the project as it is now when it is reset", async () => {
		const tenant = await tenantWithThings();
		const { id, path } = await made(server, tenant, { mode: "clone" });
		const url = await previewUrl(server, tenant, id);
		await asCustomer(url, "drop table public.people cascade");
		await asCustomer(tenant.url, "insert into public.people (name) values ('Mary')");
		const job = await ended(
			server,
			await server.call("POST", `${path}/reset`, { key: tenant.key }),
			tenant.key,
		);
		expect(job.error).toBeNull();
		expect(await previewUrl(server, tenant, id)).toBe(url);
		expect(await asCustomer(url, "select count(*)::int from public.people")).toEqual([{ count: 3 }]);
	});

	it("fails for good, naming the package to install, while somebody is connected, and leaves nothing", async () => {
		const tenant = await tenantWithThings();
		const client = new pg.Client({ connectionString: tenant.url });
		await client.connect();
		const { id, job, preview } = await made(server, tenant, { mode: "clone" });
		await client.end();
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent", attempts: 1 });
		const [row] = await server.sql<{ major: number }>(
			"select current_setting('server_version_num')::int / 10000 as major",
		);
		expect(job.error).toContain(`postgresql-client-${row?.major}`);
		expect(job.error).toContain("connected");
		expect(preview).toMatchObject({ state: "failed", last_error: job.error });
		expect(await standing(id)).toEqual([]);
		const retried = await server.call("POST", `/v1/jobs/${job.id}/retry`, { key: tenant.key });
		expect((await ended(server, retried, tenant.key)).state).toBe("completed");
		expect(
			await asCustomer(await previewUrl(server, tenant, id), "select 1 from public.people"),
		).toHaveLength(2);
	});

	it("fails for good for a database of more than 100 MB", async () => {
		const tenant = await server.tenant();
		const url = await directUrl(server, tenant);
		await asCustomer(
			url,
			"create unlogged table public.big (x text)",
			"alter table public.big alter x set storage external",
			"insert into public.big select repeat('x', 1000000) from generate_series(1, 110)",
		);
		const { job } = await made(server, tenant, { mode: "clone" });
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(job.error).toContain("100 MB");
	});

	it("of a reset leaves the old database standing when it cannot be made", async () => {
		const tenant = await tenantWithThings();
		const { id, path } = await made(server, tenant, { mode: "clone" });
		const url = await previewUrl(server, tenant, id);
		await asCustomer(url, "create table public.kept (id int)");
		const client = new pg.Client({ connectionString: tenant.url });
		await client.connect();
		const job = await ended(
			server,
			await server.call("POST", `${path}/reset`, { key: tenant.key }),
			tenant.key,
		);
		await client.end();
		expect(job.state).toBe("failed");
		expect(await asCustomer(url, "select to_regclass('public.kept') is not null as kept")).toEqual([
			{ kept: true },
		]);
		expect(await standing(id)).toEqual(["database", "role"]);
	});

	it("is also made by an admin that is no superuser", async () => {
		const admin = `admin_${randomBytes(4).toString("hex")}`;
		await asSuperuser(
			`create role ${admin} login createdb createrole password 'pw'`,
			`grant connect on database postgres to ${admin}`,
		);
		const clusterUrl = new URL(inject("clusterUrl"));
		clusterUrl.username = admin;
		clusterUrl.password = "pw";
		const projectDatabases = createProjectDatabases({
			clusterUrl: clusterUrl.href,
			publicHost: null,
			directPort: null,
			pooledHost: null,
			pooledPort: null,
			guard: server.ctx.databaseGuard,
			log: silentLog,
		});
		const tenant = await tenantWithThings();
		// Such an admin owns the databases that it made itself.
		await asSuperuser(
			`alter database "${tenant.projectId}" owner to ${admin}`,
			`grant "${tenant.projectId}" to ${admin} with admin true, inherit false, set false`,
		);
		const { id } = await made(server, tenant, { mode: "clone" });
		await asSuperuser(`drop database "${id}" with (force)`, `drop role "${id}"`);
		await server.sql("update preview_databases set state = 'provisioning' where id is not null");
		await runBuild(server, id, { ...server.ctx, projectDatabases });
		const url = await previewUrl(server, tenant, id);
		expect(await asCustomer(url, "select 1 from public.people")).toHaveLength(2);
		expect(await refusalOf(withDatabase(tenant.url, id))).toBe("42501");
		await projectDatabases.close();
		await asSuperuser(
			`drop database "${id}" with (force)`,
			`drop role "${id}"`,
			`reassign owned by ${admin} to current_user`,
			`drop owned by ${admin}`,
			`drop role ${admin}`,
		);
	});
});

function asSuperuserIn(database: string, statement: string) {
	return asCustomer(withDatabase(inject("clusterUrl"), database), statement);
}
