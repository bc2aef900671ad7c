import { randomBytes } from "node:crypto";
import { describe, expect, inject, it } from "vitest";
import type { Context } from "../../src/context.ts";
import type { ProjectId } from "../../src/core/ids.ts";
import type { JobRun } from "../../src/jobs/job-type.ts";
import { createProjectDatabases } from "../../src/platform/project-db.ts";
import { dropDatabase, lockOut } from "../../src/projects/cluster-database.ts";
import { createInstance } from "../../src/projects/create-instance.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { asCustomer, asSuperuser, directUrl, refusalOf } from "./project-databases.ts";

/** The job run by hand, as after a crash: whatever it says and saves is let go. */
async function runAgain(server: TestServer, tenant: Tenant, ctx: Context = server.ctx): Promise<void> {
	const job = { projectId: tenant.projectId as ProjectId } as JobRun["job"];
	const signal = new AbortController().signal;
	const settle = await createInstance.run(ctx, {
		job,
		signal,
		say: () => undefined,
		saveProgress: async () => undefined,
	});
	await ctx.transaction(async (tx) => void (await settle?.(tx)));
}

async function works(server: TestServer, tenant: Tenant): Promise<void> {
	const url = await directUrl(server, tenant);
	await asCustomer(url, "create table if not exists public.t (id int)", "insert into public.t values (1)");
	const [acl] = await asSuperuser<{ open: boolean }>(
		`select has_database_privilege('public', '${tenant.projectId}', 'CONNECT') as open`,
	);
	expect(acl).toEqual({ open: false });
}

describe("the job instance.create, killed and run again", () => {
	it("finds everything there when all was done", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		await works(server, tenant);
		await runAgain(server, tenant);
		await works(server, tenant);
	});

	it.each([
		["nothing", []],
		["the role", ["role"]],
		["the role and a database that takes no connections", ["role", "database"]],
	])("goes on when there was %s", async (_what, steps) => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const id = tenant.projectId;
		await asSuperuser(`drop database "${id}" with (force)`, `drop role "${id}"`);
		if (steps.includes("role")) await asSuperuser(`create role "${id}" nologin connection limit 25`);
		if (steps.includes("database")) await asSuperuser(`create database "${id}" allow_connections false`);
		await runAgain(server, tenant);
		await works(server, tenant);
	});

	it("does not bring a deleted project's role back", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		await server.sql("update projects set state = 'deleting'");
		await expect(runAgain(server, tenant)).rejects.toMatchObject({ code: "project.deleting" });
	});

	it("run twice at once makes one working database", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		await asSuperuser(`drop database "${tenant.projectId}" with (force)`, `drop role "${tenant.projectId}"`);
		const results = await Promise.allSettled([runAgain(server, tenant), runAgain(server, tenant)]);
		if (results.some(({ status }) => status === "rejected")) await runAgain(server, tenant);
		await works(server, tenant);
	});
});

describe("a cluster whose admin is no superuser", () => {
	it("serves for making, locking out and dropping", async () => {
		const admin = `admin_${randomBytes(4).toString("hex")}`;
		await asSuperuser(`create role ${admin} login createdb createrole password 'pw'`);
		await asSuperuser(`grant connect on database postgres to ${admin}`);
		const clusterUrl = new URL(inject("clusterUrl"));
		clusterUrl.username = admin;
		clusterUrl.password = "pw";
		const server = await startTestServer();
		const projectDatabases = createProjectDatabases({
			clusterUrl: clusterUrl.href,
			publicHost: null,
			directPort: null,
			pooledHost: null,
			pooledPort: null,
			guard: server.ctx.databaseGuard,
			log: silentLog,
		});
		const tenant = await server.tenant();
		const id = tenant.projectId;
		await asSuperuser(`drop database "${id}" with (force)`, `drop role "${id}"`);
		await runAgain(server, tenant, { ...server.ctx, projectDatabases });
		await works(server, tenant);

		const url = await directUrl(server, tenant);
		const session = asCustomer(url, "select pg_sleep(60)").catch((error) => error.code);
		const running = `select 1 from pg_stat_activity where datname = '${id}' and query = 'select pg_sleep(60)'`;
		await until(async () => (await asSuperuser(running)).length > 0);
		await projectDatabases.asClusterAdmin((client) => lockOut(client, id));
		expect(await session).toBe("57P01");
		expect(await refusalOf(url)).toBe("28000");
		const members = await asSuperuser(`select 1 from pg_auth_members m join pg_roles r on r.oid = m.roleid
			join pg_roles g on g.oid = m.member where r.rolname = '${id}' and g.rolname = '${admin}' and m.inherit_option`);
		expect(members).toEqual([]);
		await projectDatabases.asClusterAdmin((client) => dropDatabase(client, id, id));
		expect(await asSuperuser(`select 1 from pg_database where datname = '${id}'`)).toEqual([]);
		await projectDatabases.close();
		await asSuperuser(`drop owned by ${admin}`, `drop role ${admin}`);
	});
});
