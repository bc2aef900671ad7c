import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { useProjectDatabase } from "../../src/projects/use-project-database.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { asSuperuser, ended, eventTypes, refusalOf } from "./project-databases.ts";

let server: TestServer;
let tenant: Tenant;
const made: string[] = [];

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { PROJECT_DB_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8" } });
	tenant = await server.tenant();
});
afterAll(async () => {
	await server.close();
	for (const name of made)
		await asSuperuser(`drop database if exists ${name} with (force)`, `drop role if exists ${name}`);
});

/** A database that a customer runs elsewhere: role and database of one name, with password `pw`. */
async function customersDatabase(): Promise<{ name: string; url: string }> {
	const name = `byo_${randomBytes(5).toString("hex")}`;
	made.push(name);
	await asSuperuser(`create role ${name} login password 'pw'`, `create database ${name} owner ${name}`);
	const { port } = new URL(inject("clusterUrl"));
	return { name, url: `postgres://${name}:pw@127.0.0.1:${port}/${name}` };
}

async function bring(body: Record<string, unknown>) {
	const answer = await server.call("POST", "/v1/projects", {
		key: tenant.key,
		body: { name: "byo", ...body },
	});
	expect(answer.status).toBe(201);
	const job = await ended(server, answer, tenant.key);
	const path = `/v1/projects/${answer.body.project.id}`;
	const { body: read } = await server.call("GET", path, { key: tenant.key });
	return { job, project: read.project, path };
}

describe("a project that brings its own Postgres", () => {
	it("is ready once it let us in, shows where it is, and gives its URLs back byte for byte", async () => {
		const { name, url } = await customersDatabase();
		const directUrl = `${url}?sslmode=prefer&application_name=web%20app`;
		const { job, project, path } = await bring({ database_url: url, direct_url: directUrl });
		expect(job.state).toBe("completed");
		const port = Number(new URL(url).port);
		expect(project).toMatchObject({
			state: "ready",
			database_name: name,
			role_name: name,
			ssl_mode: "prefer",
		});
		expect(project).toMatchObject({ public_host: "127.0.0.1", direct_port: port, pooled_port: port });
		const { body } = await server.call("GET", `${path}/connections`, { key: tenant.key });
		expect(body.connections).toEqual({ username: name, pooled_url: url, direct_url: directUrl });
		expect(await eventTypes(server, { ...tenant, projectId: project.id })).toContain("project.ready");
	});

	it("fails for good on a wrong password, says so coarsely, and is well again with the right one", async () => {
		const { url } = await customersDatabase();
		const { job, project, path } = await bring({ database_url: url.replace(":pw@", ":wrong@") });
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent", attempts: 1 });
		expect(project).toMatchObject({ state: "failed", last_error: job.error });
		expect(job.error).toBe("The project's database refused the user name or password.");
		const changed = await server.call("PATCH", path, { key: tenant.key, body: { database_url: url } });
		expect(changed.body.project.state).toBe("provisioning");
		expect((await ended(server, changed, tenant.key)).state).toBe("completed");
		const { body } = await server.call("GET", path, { key: tenant.key });
		expect(body.project).toMatchObject({ state: "ready", last_error: null });
	});

	it("follows a changed database URL, the direct one too unless that was given apart", async () => {
		const [first, second] = [await customersDatabase(), await customersDatabase()];
		const { path } = await bring({ database_url: first.url });
		const connections = async () =>
			(await server.call("GET", `${path}/connections`, { key: tenant.key })).body.connections;
		await server.call("PATCH", path, { key: tenant.key, body: { database_url: second.url } });
		expect(await connections()).toEqual({
			username: second.name,
			pooled_url: second.url,
			direct_url: second.url,
		});
		const direct = `${first.url}?sslmode=disable`;
		await server.call("PATCH", path, { key: tenant.key, body: { direct_url: direct } });
		await server.call("PATCH", path, { key: tenant.key, body: { database_url: first.url } });
		expect(await connections()).toEqual({
			username: first.name,
			pooled_url: first.url,
			direct_url: direct,
		});
	});

	it("is used as the customer's own role", async () => {
		const { name, url } = await customersDatabase();
		const { project } = await bring({ database_url: url });
		const row = await server.ctx.stores.projects.find(project.id);
		if (!row) throw new Error("gone");
		const rows = await useProjectDatabase(server.ctx, row, (client) =>
			client.query("select current_user as me"),
		);
		expect(rows).toEqual([{ me: name }]);
	});

	it("rotates nothing: the answer says what to do instead", async () => {
		const { url } = await customersDatabase();
		const { path } = await bring({ database_url: url });
		const { status, body } = await server.call("POST", `${path}/credentials/rotate`, { key: tenant.key });
		expect([status, body.code]).toEqual([409, "project.external"]);
		expect(body.error).toContain("PATCH");
	});

	it("is never dropped: deleting the project leaves the database and forgets the credentials", async () => {
		const { url } = await customersDatabase();
		const { path, project } = await bring({ database_url: url });
		const answer = await server.call("DELETE", path, { key: tenant.key });
		expect((await ended(server, answer, tenant.key)).state).toBe("completed");
		expect((await server.call("GET", path, { key: tenant.key })).status).toBe(404);
		await server.sql(
			"update projects set deleted_at = deleted_at - interval '25 hours' where deleted_at is not null",
		);
		const { dropExpiredProjects } = await import("../../src/projects/drop-expired-projects.ts");
		await dropExpiredProjects(server.ctx);
		expect(await refusalOf(url)).toBeNull();
		const [row] = await server.sql<{ credentials: string }>(
			"select credentials from projects where slug = $1",
			[project.slug],
		);
		expect(
			server.ctx.vault.open(row?.credentials ?? "", { row: project.id, column: "projects.credentials" }),
		).toBe("{}");
	});

	it("is not told apart from one at which nothing listens", async () => {
		const { body } = await server.call("POST", "/v1/projects", {
			key: tenant.key,
			body: { name: "nobody", database_url: "postgres://me:pw@127.0.0.1:1/db" },
		});
		const path = `/v1/jobs/${body.job.id}`;
		const { until } = await import("../support/until.ts");
		const job = await until(async () => {
			const answer = await server.call("GET", path, { key: tenant.key });
			return answer.body.job.error !== null && answer.body.job;
		});
		expect(job).toMatchObject({
			error: "Could not connect to the project's database.",
			retry_classification: "transient",
		});
	});
});

describe("an address that the operator has not allowed", () => {
	it.each([
		"127.0.0.1",
		"10.1.2.3",
		"169.254.169.254",
		"[::1]",
		"[::ffff:127.0.0.1]",
		"2130706433",
		"0x7f.1",
		"localhost",
		"db.internal",
	])("is refused when it is saved: %s", async (host) => {
		const strict = await startTestServer();
		const { body: organization } = await strict.call("POST", "/v1/organizations", {
			body: { name: "strict" },
		});
		const { status, body } = await strict.call("POST", "/v1/projects", {
			body: {
				name: "byo",
				organization_id: organization.organization.id,
				database_url: `postgres://me:pw@${host}/db`,
			},
		});
		expect([status, body.code]).toEqual([400, "database_url.host_not_allowed"]);
		expect(body.error).toContain("`database_url`");
	});

	it("is judged again when the job connects", async () => {
		const { name, url } = await customersDatabase();
		const { path, project } = await bring({ database_url: url });
		expect(project.state).toBe("ready");
		const strict = await startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: "api" } });
		const row = await strict.ctx.stores.projects.find(project.id);
		if (!row) throw new Error(path);
		const use = useProjectDatabase(strict.ctx, row, (client) => client.query("select 1"));
		await expect(use, name).rejects.toMatchObject({ reason: "blocked_address" });
	});
});
