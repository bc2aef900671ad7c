import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
	asCustomer,
	asSuperuser,
	auditActions,
	directUrl,
	ended,
	eventTypes,
	refusalOf,
	withDatabase,
} from "../projects/project-databases.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ask, made, previewUrl, standing } from "./preview-server.ts";

const hourMs = 3_600_000;

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());

describe("an empty preview database", () => {
	it("has exactly its fields, and its job and events tell of it", async () => {
		const tenant = await server.tenant();
		const { id, job, preview } = await made(server, tenant, { name: "Feature/ünï x" });
		const { port } = new URL(await directUrl(server, tenant));
		expect(preview).toEqual({
			id: expect.stringMatching(/^pvw_/),
			project_id: tenant.projectId,
			name: "Feature/ünï x",
			mode: "empty",
			state: "ready",
			database_name: id,
			role_name: id,
			direct_port: Number(port),
			pooled_port: null,
			public_host: "127.0.0.1",
			ssl_mode: "disable",
			last_error: null,
			ttl_expires_at: expect.any(String),
			created_at: expect.any(String),
			updated_at: expect.any(String),
		});
		expect(Date.parse(preview.ttl_expires_at) - Date.parse(preview.created_at)).toBe(24 * hourMs);
		expect(job).toMatchObject({
			type: "branch.create",
			state: "completed",
			preview_database_id: id,
			locked_resource: `preview:${id}`,
			last_exit_code: 0,
		});
		expect(job.last_stdout).toMatch(
			/^validated preview database .*\ncreated its database and its role\nopened it to its role$/,
		);
		const types = await eventTypes(server, tenant);
		expect(types.slice(-2)).toEqual(["preview.ready", "job.completed"]);
		const actions = await auditActions(server, tenant);
		expect(actions).toEqual(["project.credentials_read", "preview.created", "project.created"]);
	});

	it("works with any client, as a role that may do nothing but its own work", async () => {
		const tenant = await server.tenant();
		const { id } = await made(server, tenant);
		const rows = await asCustomer(
			await previewUrl(server, tenant, id),
			"create table t (id int primary key)",
			"create schema mine",
			"insert into t values (7)",
			"select id from public.t",
		);
		expect(rows).toEqual([{ id: 7 }]);
		const [role] =
			await asSuperuser(`select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
			rolconnlimit, left(rolpassword, 14) as verifier from pg_authid where rolname = '${id}'`);
		expect(role).toEqual({
			rolsuper: false,
			rolcreatedb: false,
			rolcreaterole: false,
			rolreplication: false,
			rolbypassrls: false,
			rolconnlimit: 25,
			verifier: "SCRAM-SHA-256$",
		});
	});

	it("enters no other database of the cluster, and no other role enters it, its project's neither", async () => {
		const [tenant, stranger] = [await server.tenant(), await server.tenant()];
		const [first, second] = [await made(server, tenant), await made(server, tenant)];
		const firstUrl = await previewUrl(server, tenant, first.id);
		const own = new URL(server.databaseUrl).pathname.slice(1);
		const others = [
			"postgres",
			"template0",
			"template1",
			own,
			tenant.projectId,
			stranger.projectId,
			second.id,
		];
		for (const name of others) {
			expect(await refusalOf(withDatabase(firstUrl, name)), name).toMatch(/^(42501|55000)$/);
		}
		const secondUrl = await previewUrl(server, tenant, second.id);
		const [parentUrl, strangersUrl] = [await directUrl(server, tenant), await directUrl(server, stranger)];
		for (const url of [secondUrl, parentUrl, strangersUrl]) {
			expect(await refusalOf(withDatabase(url, first.id))).toBe("42501");
		}
		expect(await refusalOf(firstUrl)).toBeNull();
	});

	it("has a password that no table and no event holds", async () => {
		const tenant = await server.tenant();
		const { id } = await made(server, tenant);
		const { password } = new URL(await previewUrl(server, tenant, id));
		const rows = await server.sql<{ found: boolean }>(
			`select exists (select 1 from preview_databases p where to_jsonb(p)::text like $1)
				or exists (select 1 from jobs where to_jsonb(jobs)::text like $1)
				or exists (select 1 from events where payload like $1)
				or exists (select 1 from audit_events where metadata::text like $1) as found`,
			[`%${password}%`],
		);
		expect(rows).toEqual([{ found: false }]);
	});
});

describe("resetting a preview database", () => {
	it("throws away what is in it, ends its sessions and keeps role, password and URL", async () => {
		const tenant = await server.tenant();
		const { id, path } = await made(server, tenant);
		const url = await previewUrl(server, tenant, id);
		await asCustomer(url, "create table t (id int)");
		const session = asCustomer(url, "select pg_sleep(60)").catch((error) => error.code);
		const answer = await server.call("POST", `${path}/reset`, { key: tenant.key });
		expect(answer.status).toBe(202);
		expect(answer.body.job).toMatchObject({ type: "branch.reset", preview_database_id: id });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		expect(await session).toBe("57P01");
		expect(await previewUrl(server, tenant, id)).toBe(url);
		expect(await asCustomer(url, "select to_regclass('public.t') as t")).toEqual([{ t: null }]);
		expect(await auditActions(server, tenant)).toContain("preview.reset");
	});

	it("is refused while the database is being built, as reading its connections is", async () => {
		const tenant = await server.tenant();
		const { path } = await made(server, tenant);
		await server.sql("update preview_databases set state = 'provisioning'");
		const { status, body } = await server.call("POST", `${path}/reset`, { key: tenant.key });
		expect([status, body.code]).toEqual([409, "preview.not_ready"]);
		const read = await server.call("GET", `${path}/connections`, { key: tenant.key });
		expect([read.status, read.body.code]).toEqual([409, "preview.not_ready"]);
		await server.sql("update preview_databases set state = 'ready'");
	});
});

describe("deleting a preview database", () => {
	it("drops database and role, announces it, and frees the name at once", async () => {
		const tenant = await server.tenant();
		const { id, path } = await made(server, tenant, { name: "twice" });
		const url = await previewUrl(server, tenant, id);
		const session = asCustomer(url, "select pg_sleep(60)").catch((error) => error.code);
		const answer = await server.call("DELETE", path, { key: tenant.key });
		expect(answer.status).toBe(202);
		const again = await made(server, tenant, { name: "twice" });
		expect(again.preview.state).toBe("ready");
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		expect(await session).toBe("57P01");
		expect(await standing(id)).toEqual([]);
		expect((await server.call("GET", path, { key: tenant.key })).status).toBe(404);
		const [event] = await server.sql<{ payload: string }>(
			"select payload from events where type = 'preview.deleted' and payload like $1",
			[`%${id}%`],
		);
		expect(JSON.parse(event?.payload ?? "").data).toMatchObject({ preview: { id }, reason: "requested" });
		expect(await auditActions(server, tenant)).toContain("preview.deleted");
	});

	it("answers with the same job when it is asked for twice", async () => {
		const tenant = await server.tenant();
		const { path } = await made(server, tenant);
		const answers = await Promise.all([1, 2, 3].map(() => server.call("DELETE", path, { key: tenant.key })));
		const ids = answers.filter(({ status }) => status === 202).map(({ body }) => body.job.id);
		expect(new Set(ids).size).toBe(1);
		expect(answers.every(({ status }) => status === 202 || status === 404)).toBe(true);
	});

	it("while it is being built leaves neither database nor role", async () => {
		const tenant = await server.tenant();
		const { body } = await ask(server, tenant);
		const path = `/v1/preview-databases/${body.preview.id}`;
		const answer = await server.call("DELETE", path, { key: tenant.key });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		await ended(server, { ...answer, body }, tenant.key);
		expect(await standing(body.preview.id)).toEqual([]);
	});

	it("follows on deleting the project", async () => {
		const tenant = await server.tenant();
		const previews = [await made(server, tenant), await made(server, tenant)];
		const answer = await server.call("DELETE", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		for (const { id, path } of previews) {
			await until(async () => (await server.call("GET", path, { key: tenant.key })).status === 404);
			expect(await standing(id)).toEqual([]);
		}
		const types = await eventTypes(server, tenant);
		expect(types.filter((type) => type === "preview.deleted")).toHaveLength(2);
		expect((await ask(server, tenant)).status).toBe(404);
	});
});
