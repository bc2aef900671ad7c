import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	asCustomer,
	asSuperuser,
	auditActions,
	directUrl,
	ended,
	eventTypes,
	refusalOf,
	withDatabase,
} from "./project-databases.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());

describe("a created project", () => {
	it("has its fields, and its job and events tell of it", async () => {
		const tenant = await server.tenant();
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
		expect(body.project).toMatchObject({
			id: tenant.projectId,
			organization_id: tenant.organizationId,
			name: "web",
			state: "ready",
			region: "self-hosted",
			plan: "self_hosted",
			environment: "production",
			always_on: true,
			database_name: tenant.projectId,
			role_name: tenant.projectId,
			pooled_port: null,
			storage_limit_bytes: null,
			last_error: null,
		});
		expect(body.project.slug).toMatch(/^web-/);
		const { body: listed } = await server.call("GET", `/v1/projects/${tenant.projectId}/jobs`, {
			key: tenant.key,
		});
		expect(listed.jobs).toMatchObject([{ type: "instance.create", state: "completed", last_exit_code: 0 }]);
		expect(listed.jobs[0].last_stdout).toContain(
			`validated project ${body.project.slug} (${tenant.projectId})`,
		);
		expect(await eventTypes(server, tenant)).toEqual(["project.ready", "job.completed"]);
		expect(await auditActions(server, tenant)).toEqual(["project.created"]);
	});

	it("works with any client at once: tables in schema public, schemas of one's own, temporary tables", async () => {
		const tenant = await server.tenant();
		const url = await directUrl(server, tenant);
		const rows = await asCustomer(
			url,
			"create table t (id int primary key)",
			"create schema mine",
			"create table mine.u as select 1 as one",
			"create temp table v (id int)",
			"insert into t values (7)",
			"select id from public.t",
		);
		expect(rows).toEqual([{ id: 7 }]);
	});

	it("gives its connections to those who may read them, and writes down who did", async () => {
		const tenant = await server.tenant();
		const path = `/v1/projects/${tenant.projectId}/connections`;
		const { status, body } = await server.call("GET", path, { key: tenant.key });
		expect(status).toBe(200);
		expect(body.connections.username).toBe(tenant.projectId);
		expect(body.connections.pooled_url).toBe(body.connections.direct_url);
		expect(await auditActions(server, tenant)).toEqual(["project.credentials_read", "project.created"]);
	});

	it("has a role that may do nothing but its own work", async () => {
		const tenant = await server.tenant();
		const [role] =
			await asSuperuser(`select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
			rolconnlimit, rolcanlogin from pg_roles where rolname = '${tenant.projectId}'`);
		expect(role).toEqual({
			rolsuper: false,
			rolcreatedb: false,
			rolcreaterole: false,
			rolreplication: false,
			rolbypassrls: false,
			rolconnlimit: 25,
			rolcanlogin: true,
		});
		const url = await directUrl(server, tenant);
		const denied = [
			"create role x",
			"create database x",
			"copy (select 1) to program 'true'",
			"select pg_read_file('postgresql.conf')",
			"create extension dblink",
			`alter role "${tenant.projectId}" createdb`,
			"select * from pg_authid",
		];
		for (const statement of denied) expect(await refusalOf(url, statement), statement).toBe("42501");
	});

	it("cannot be entered by another tenant, who cannot enter any other database of the cluster either", async () => {
		const [mine, theirs] = [await server.tenant(), await server.tenant()];
		const url = await directUrl(server, mine);
		// The template and the databases of other test files stand for no database of this server.
		const own = new URL(server.databaseUrl).pathname.slice(1);
		const rows = await asSuperuser<{ datname: string }>(`select datname from pg_database
			where datname not like 'capydb\\_%' or datname = '${own}'`);
		const names = rows.map((row) => row.datname).filter((name) => name !== mine.projectId);
		expect(names).toEqual(
			expect.arrayContaining([own, theirs.projectId, "postgres", "template0", "template1"]),
		);
		for (const name of names) {
			// 3D000: another test file dropped its own meanwhile.
			expect(await refusalOf(withDatabase(url, name)), name).toMatch(/^(42501|55000|3D000)$/);
		}
		expect(await refusalOf(withDatabase(url, theirs.projectId))).toBe("42501");
		expect(await refusalOf(url)).toBeNull();
	});

	it("has a password that no table and no log of statements holds", async () => {
		const tenant = await server.tenant();
		const password = new URL(await directUrl(server, tenant)).password;
		const rows = await server.sql<{ found: boolean }>(
			"select exists (select 1 from projects where to_jsonb(projects)::text like $1) or exists (select 1 from jobs where to_jsonb(jobs)::text like $1) or exists (select 1 from events where payload like $1) or exists (select 1 from audit_events where metadata::text like $1) as found",
			[`%${password}%`],
		);
		expect(rows).toEqual([{ found: false }]);
		const [role] = await asSuperuser<{ rolpassword: string }>(
			`select rolpassword from pg_authid where rolname = '${tenant.projectId}'`,
		);
		expect(role?.rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/);
	});
});

describe("rotating a created project's credentials", () => {
	it("gives it a new password, ends the old one and announces it", async () => {
		const tenant = await server.tenant();
		const before = await directUrl(server, tenant);
		const path = `/v1/projects/${tenant.projectId}/credentials/rotate`;
		const answer = await server.call("POST", path, { key: tenant.key, body: { grace_hours: 0 } });
		expect(answer.status).toBe(202);
		expect(answer.body.job).toMatchObject({ type: "project.rotate_credentials" });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		const after = await directUrl(server, tenant);
		expect(after).not.toBe(before);
		expect(await refusalOf(before)).toBe("28P01");
		expect(await refusalOf(after)).toBeNull();
		expect(await eventTypes(server, tenant)).toContain("credentials.rotated");
		expect(await auditActions(server, tenant)).toContain("project.credentials_rotated");
	});

	it("goes on after a crash with the password that it had begun to set", async () => {
		const tenant = await server.tenant();
		const { stores, vault } = server.ctx;
		const place = { row: tenant.projectId, column: "projects.credentials" };
		const project = await stores.projects.find(tenant.projectId as `prj_${string}`);
		const { password } = JSON.parse(vault.open(project?.credentials ?? "", place));
		const staged = vault.seal(JSON.stringify({ password, next_password: "staged0password" }), place);
		await stores.projects.stageCredentials(tenant.projectId as `prj_${string}`, staged);
		const path = `/v1/projects/${tenant.projectId}/credentials/rotate`;
		await ended(server, await server.call("POST", path, { key: tenant.key }), tenant.key);
		expect(new URL(await directUrl(server, tenant)).password).toBe("staged0password");
		expect(await refusalOf(await directUrl(server, tenant))).toBeNull();
	});

	it("takes no grace, and not two at once", async () => {
		const tenant = await server.tenant();
		const path = `/v1/projects/${tenant.projectId}/credentials/rotate`;
		const graced = await server.call("POST", path, { key: tenant.key, body: { grace_hours: 1 } });
		expect(graced.status).toBe(400);
		expect(graced.body.error).toContain("grace_hours");
		const answers = await Promise.all([1, 2].map(() => server.call("POST", path, { key: tenant.key })));
		for (const answer of answers) expect([202, 409]).toContain(answer.status);
		expect(answers.some((answer) => answer.status === 202)).toBe(true);
	});
});

describe("deleting a created project", () => {
	it("takes the login at once, ends sessions, and drops the database after 24 hours", async () => {
		const tenant = await server.tenant();
		const url = await directUrl(server, tenant);
		const session = asCustomer(url, "select pg_sleep(60)").catch((error) => error.code);
		const path = `/v1/projects/${tenant.projectId}`;
		const answer = await server.call("DELETE", `${path}?approval_token=x`, { key: tenant.key });
		expect(answer.status).toBe(202);
		expect(answer.body.job).toMatchObject({ type: "instance.destroy" });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		expect(await refusalOf(url)).toBe("28000");
		expect(await session).toBe("57P01");
		expect((await server.call("GET", path, { key: tenant.key })).status).toBe(404);
		expect((await server.call("GET", "/v1/projects", { key: tenant.key })).body.projects).toEqual([]);
		expect(await eventTypes(server, tenant)).toContain("project.deleted");

		const standing = `select 1 as one from pg_database where datname = '${tenant.projectId}'`;
		await dropExpired();
		expect(await asSuperuser(standing)).toHaveLength(1);
		await server.sql(
			"update projects set deleted_at = deleted_at - interval '24 hours' where id is not null and deleted_at is not null",
		);
		await dropExpired();
		await dropExpired();
		expect(await asSuperuser(standing)).toHaveLength(0);
		expect(await asSuperuser(`select 1 from pg_roles where rolname = '${tenant.projectId}'`)).toHaveLength(0);
	});

	it("answers with the same job when it is asked for twice", async () => {
		const tenant = await server.tenant();
		const path = `/v1/projects/${tenant.projectId}`;
		const answers = await Promise.all([1, 2, 3].map(() => server.call("DELETE", path, { key: tenant.key })));
		const ids = answers.filter(({ status }) => status === 202).map(({ body }) => body.job.id);
		expect(new Set(ids).size).toBe(1);
		expect(answers.every(({ status }) => status === 202 || status === 404)).toBe(true);
		await until(async () => (await server.call("GET", path, { key: tenant.key })).status === 404);
	});

	it("while its database is still being made ends with nobody able to log in", async () => {
		const { key } = await server.tenant();
		const { body } = await server.call("POST", "/v1/projects", { key, body: { name: "short" } });
		const answer = await server.call("DELETE", `/v1/projects/${body.project.id}`, { key });
		expect((await ended(server, answer, key)).state).toBe("completed");
		await ended(server, { ...answer, body }, key);
		const rows = await asSuperuser(
			`select 1 from pg_roles where rolname = '${body.project.id}' and rolcanlogin`,
		);
		expect(rows).toEqual([]);
	});
});

/** Runs the task, of which one runs at a time, and waits until it has ended. */
async function dropExpired(): Promise<void> {
	const unended = () =>
		server.sql(
			"select 1 from pgboss.job where name = 'projects.drop_expired' and state in ('created', 'retry', 'active')",
		);
	await until(async () => (await unended()).length === 0);
	await server.ctx.tasks.send("projects.drop_expired", {});
	await until(async () => (await unended()).length === 0);
}
