import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { destroyInstance } from "../../src/projects/destroy-instance.ts";
import { dropExpiredProjects } from "../../src/projects/drop-expired-projects.ts";
import { addKey } from "../deliveries/webhook-server.ts";
import { endedJob } from "../integrations/clerk-server.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { addIdleJob, eventTypes, getJob, jobFields, retryJob, runOnce } from "./running-jobs.ts";

let server: TestServer;
let tenant: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant();
});
afterAll(() => server.close());

const isoPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe("a job", () => {
	it("has every field of the published example and no other, null where there is no value", async () => {
		const { body: made } = await server.call("POST", "/v1/projects", {
			key: tenant.key,
			body: { name: "fields" },
		});
		const ended = await endedJob(server, tenant, made.job.id);
		const failed = await addIdleJob(server, tenant);
		await runOnce(server, failed, { run: () => Promise.reject(new Error("x")) });
		const { body } = await getJob(server, tenant, failed.id);
		for (const job of [made.job, ended, body.job]) {
			expect(Object.keys(job).sort()).toEqual(Object.keys(jobFields).sort());
			for (const [name, type] of Object.entries(jobFields)) {
				const value = job[name];
				expect([name, value === null ? type : typeof value, value === ""]).toEqual([name, type, false]);
				if (name.endsWith("_at") && value !== null) expect(value).toMatch(isoPattern);
			}
		}
	});

	it("begins pending and ends completed, with what a person wants to read", async () => {
		const { body: made } = await server.call("POST", "/v1/projects", {
			key: tenant.key,
			body: { name: "readable" },
		});
		expect(made.job).toMatchObject({
			type: "instance.create",
			state: "pending",
			attempts: 0,
			max_attempts: 5,
			claimed_by: null,
			claimed_at: null,
			started_at: null,
			completed_at: null,
			error: null,
			last_stdout: null,
			last_stderr: null,
			last_exit_code: null,
			locked_resource: `project:${made.project.id}`,
			retry_classification: null,
			project_id: made.project.id,
			organization_id: tenant.organizationId,
		});
		const job = await endedJob(server, tenant, made.job.id);
		expect(job).toMatchObject({
			state: "completed",
			attempts: 1,
			claimed_by: server.ctx.replica,
			error: null,
			last_stderr: null,
			last_exit_code: 0,
			retry_classification: null,
		});
		expect(job.last_stdout).toMatch(
			/^validated project readable-\w+ \(prj_\w+\)\n.*connected to its database/s,
		);
		const times = [job.created_at, job.started_at, job.completed_at, job.updated_at];
		expect(times).toEqual([...times].sort());
	});

	it("is listed under its project, newest first, and not under another", async () => {
		const [older, newer] = [await addIdleJob(server, tenant), await addIdleJob(server, tenant)];
		const path = `/v1/projects/${tenant.projectId}/jobs`;
		const { body } = await server.call("GET", path, { key: tenant.key });
		expect(body.jobs.slice(0, 2).map(({ id }: { id: string }) => id)).toEqual([newer.id, older.id]);
		const { body: made } = await server.call("POST", "/v1/projects", {
			key: tenant.key,
			body: { name: "other" },
		});
		const other = await server.call("GET", `/v1/projects/${made.project.id}/jobs`, { key: tenant.key });
		expect(other.body.jobs.map(({ id }: { id: string }) => id)).toEqual([made.job.id]);
		const key = await addKey(server, tenant.organizationId, {
			scopes: ["jobs:read"],
			project_id: made.project.id,
		});
		expect((await getJob(server, { key }, made.job.id)).status).toBe(200);
		expect((await getJob(server, { key }, newer.id)).status).toBe(403);
	});

	it("stays readable after its project and the project's database are gone", async () => {
		const gone = await server.tenant("gone");
		const path = `/v1/projects/${gone.projectId}`;
		const { project } = (await server.call("GET", path, { key: gone.key })).body;
		expect(project.database_name).toBeTruthy();
		const [first] = (await server.call("GET", `${path}/jobs`, { key: gone.key })).body.jobs;
		const { body: deleted } = await server.call("DELETE", path, { key: gone.key });
		await endedJob(server, gone, deleted.job.id);
		await server.advance(25 * 3600_000);
		await dropExpiredProjects(server.ctx);
		const databases = await server.sql("select 1 from pg_database where datname = $1", [
			project.database_name,
		]);
		expect(databases).toEqual([]);
		expect((await server.call("GET", path, { key: gone.key })).status).toBe(404);
		for (const id of [first.id, deleted.job.id]) {
			const { status, body } = await getJob(server, gone, id);
			expect([status, body.job.state, body.job.project_id]).toEqual([200, "completed", gone.projectId]);
		}
	});
});

describe("POST /v1/jobs/{jobID}/retry", () => {
	it("is a 409 for a job that has not failed, whatever else it is", async () => {
		const job = await addIdleJob(server, tenant);
		for (const state of ["pending", "running", "completed"]) {
			await server.sql("update jobs set state = $1 where locked_resource = $2", [state, job.lockedResource]);
			const { status, body } = await retryJob(server, tenant, job.id);
			expect([state, status, body.code]).toEqual([state, 409, "job.not_failed"]);
		}
	});

	it("gives a failed job all its attempts again, once, and runs it", async () => {
		const job = await addIdleJob(server, tenant, "instance.create");
		const failing = { run: () => Promise.reject(new Error("broken")) };
		await server.sql("update jobs set attempts = 4 where locked_resource = $1", [job.lockedResource]);
		await runOnce(server, job, failing);
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({ state: "failed", attempts: 5 });
		const answers = await Promise.all(Array.from({ length: 5 }, () => retryJob(server, tenant, job.id)));
		const statuses = answers.map(({ status }) => status).sort();
		expect(statuses).toEqual([202, 409, 409, 409, 409]);
		const taken = answers.find(({ status }) => status === 202)?.body.job;
		expect(taken).toMatchObject({ state: "pending", attempts: 0, completed_at: null });
		expect(await endedJob(server, tenant, job.id)).toMatchObject({
			state: "completed",
			attempts: 1,
			error: null,
			last_exit_code: 0,
			retry_classification: null,
		});
	});
});

describe("job.completed and job.failed", () => {
	it("go out for every job, after the specific event and with the job as the API shows it", async () => {
		const own = await server.tenant("events");
		expect(await eventTypes(server, own)).toEqual(["project.ready", "job.completed"]);
		const job = await addIdleJob(server, own);
		await runOnce(server, job, {
			run: async () => async () => [],
		});
		const failing = await addIdleJob(server, own, "instance.destroy");
		await server.sql("update jobs set attempts = 4 where locked_resource = $1", [failing.lockedResource]);
		await runOnce(server, failing, {
			...destroyInstance({
				disconnectIntegrations: async () => undefined,
				deletePreviews: async () => undefined,
			}),
			run: () => Promise.reject(new Error("broken")),
		});
		expect(await eventTypes(server, own)).toEqual([
			"project.ready",
			"job.completed",
			"job.completed",
			"job.failed",
		]);
		const { body } = await server.call(
			"GET",
			`/v1/organizations/${own.organizationId}/events?type=job.failed`,
			{
				key: own.key,
			},
		);
		const shown = (await getJob(server, own, failing.id)).body.job;
		expect(body.events[0].payload.data).toEqual({ job: shown });
		expect(body.events[0].project_id).toBe(own.projectId);
	});
});
