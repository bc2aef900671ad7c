import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { type JobId, type OrganizationId, type ProjectId, toUuid } from "../../src/core/ids.ts";
import { enqueueJob } from "../../src/jobs/enqueue-job.ts";
import { startFakeClerk } from "../fakes/clerk.ts";
import { endedJob, keptProgress, projectSql, signingSecret } from "../integrations/clerk-server.ts";
import { startServerProcess } from "../journeys/server-process.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { addIdleJob, getJob, runOnce } from "./running-jobs.ts";

/** A second server on the database of the first. */
function startReplica(server: TestServer, role = "all"): Promise<TestServer> {
	return startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: role } });
}

describe("two jobs on one resource", () => {
	it("never run at once, also with several replicas, and all of them end", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		await startReplica(server);
		const lockedResource = `project:${tenant.projectId}`;
		const jobs = await server.ctx.transaction(async (tx) => {
			const input = {
				type: "project.rotate_credentials",
				organizationId: tenant.organizationId as OrganizationId,
				projectId: tenant.projectId as ProjectId,
				lockedResource,
			};
			const made = [];
			for (let count = 0; count < 5; count += 1) made.push(await enqueueJob(tx, input));
			return made;
		});
		const ended = [];
		for (const { id } of jobs) ended.push(await endedJob(server, tenant, id));
		expect(ended.map(({ state }) => state)).toEqual(Array(5).fill("completed"));
		const spans = ended.map((job) => [job.started_at, job.completed_at] as [string, string]);
		spans.sort(([one], [other]) => one.localeCompare(other));
		for (const [at, [, end]] of spans.entries()) {
			const next = spans[at + 1]?.[0];
			if (next !== undefined) expect(next >= end).toBe(true);
		}
	});

	it("leave the second one pending, with no attempt used, while the first runs", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const first = await addIdleJob(server, tenant);
		const second = await addIdleJob(server, tenant);
		await server.sql("update jobs set locked_resource = 'test:one'");
		const [entered, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		const running = runOnce(server, first, {
			run: async () => {
				entered.resolve();
				await release.promise;
				return undefined;
			},
		});
		await entered.promise;
		await runOnce(server, second, { run: () => Promise.reject(new Error("it must not run")) });
		expect((await getJob(server, tenant, second.id)).body.job).toMatchObject({
			state: "pending",
			attempts: 0,
			started_at: null,
		});
		release.resolve();
		await running;
		expect((await getJob(server, tenant, first.id)).body.job.state).toBe("completed");
	});
});

describe("a runner that was taken for dead", () => {
	it("changes nothing any more: neither the job, nor what the job was to change, nor an event", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const job = await addIdleJob(server, tenant);
		const [entered, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
		let settled = 0;
		const stale = runOnce(server, job, {
			run: async (_, run) => {
				run.say("stale");
				entered.resolve();
				await release.promise;
				return async () => {
					settled += 1;
					return [];
				};
			},
		});
		await entered.promise;
		await runOnce(server, job, {
			run: async (_, run) => {
				run.say("fresh");
				return undefined;
			},
		});
		const before = (await getJob(server, tenant, job.id)).body.job;
		expect(before).toMatchObject({ state: "completed", attempts: 1, last_stdout: "fresh" });
		release.resolve();
		await stale;
		expect((await getJob(server, tenant, job.id)).body.job).toEqual(before);
		const events = await server.sql("select 1 from events where type = 'job.completed'");
		expect([settled, events.length]).toEqual([0, 2]);
	});

	it("is stopped at its next page", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const job = await addIdleJob(server, tenant);
		let went = "";
		await runOnce(server, job, {
			run: async (_, run) => {
				await runOnce(server, job, { run: async () => undefined });
				went = "to the page";
				await run.saveProgress({ page: 2 });
				went = "on";
				return undefined;
			},
		});
		expect(went).toBe("to the page");
		const rows = await server.sql("select progress, state from jobs where id = $1", [toUuid(job.id)]);
		expect(rows).toEqual([{ progress: {}, state: "completed" }]);
	});
});

describe("a job whose process died", () => {
	it("goes on within 30 seconds on another replica, with the same attempt, from its last page", async () => {
		const clerk = await startFakeClerk({ users: 1500 });
		onTestFinished(() => clerk.close());
		// Serves the API and runs nothing, so that the process below gets every job.
		const server = await startTestServer({ env: { ROLE: "api", CLERK_API_URL: clerk.origin } });
		const doomed = await startWorker(server, clerk.origin);
		const tenant = await server.tenant();
		const held = clerk.holdPage(3);
		const id = await connectClerk(server, tenant, clerk.secretKey);
		await held.reached;
		await keptProgress(server, id, 1_000);
		const { claimed_by: firstReplica } = (await getJob(server, tenant, id)).body.job;
		doomed.signal("SIGKILL");
		await doomed.exited;
		clerk.requests.length = 0;
		held.release();
		await startTestServer({
			databaseUrl: server.databaseUrl,
			env: { ROLE: "worker", CLERK_API_URL: clerk.origin },
		});
		await until(async () => (await getJob(server, tenant, id)).body.job.claimed_by !== firstReplica);
		const job = await endedJob(server, tenant, id);
		expect(job).toMatchObject({ state: "completed", attempts: 1 });
		expect(job.last_stdout).toContain("went on after 1,000 users");
		const pages = clerk.requests.filter(({ path }) => path === "/v1/users");
		expect(pages.length).toBeGreaterThan(0);
		const fromTheStart = pages.filter(
			({ query: { starting_after: from, created_at_after: since } }) => !from && !since,
		);
		expect(fromTheStart).toEqual([]);
		const counted = await projectSql(server, tenant, "select count(*)::int as count from capydb_auth.users");
		expect(counted).toEqual([{ count: 1500 }]);
	});

	/** The real server in a process of its own, on the test's database. */
	async function startWorker(server: TestServer, clerkOrigin: string) {
		const dataDir = await mkdtemp(join(tmpdir(), "capydb-worker-"));
		const worker = await startServerProcess(dataDir, {
			DATABASE_URL: server.databaseUrl,
			PROJECT_CLUSTER_URL: inject("clusterUrl"),
			ENCRYPTION_KEYS: `test:${Buffer.alloc(32, 7).toString("base64")}`,
			BOOTSTRAP: "false",
			CLERK_API_URL: clerkOrigin,
			ADMIN_TOKEN: randomBytes(16).toString("hex"),
		});
		onTestFinished(async () => {
			await worker.stop();
			await rm(dataDir, { recursive: true, force: true });
		});
		return worker;
	}

	async function connectClerk(server: TestServer, tenant: Tenant, secretKey: string): Promise<JobId> {
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/connect`;
		const { body } = await server.call("POST", path, {
			key: tenant.key,
			body: { secret_key: secretKey, webhook_signing_secret: signingSecret },
		});
		return body.job.id;
	}
});

describe("an attempt that is broken off because its server stops", () => {
	it("is nobody's failure: the job keeps the attempt and goes on elsewhere", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const job = await addIdleJob(server, tenant);
		const stopping = new AbortController();
		const broken = runOnce(
			server,
			job,
			{
				run: async (_, run) => {
					stopping.abort();
					run.signal.throwIfAborted();
					return undefined;
				},
			},
			stopping.signal,
		);
		await expect(broken).rejects.toThrow(/abort/);
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({
			state: "running",
			attempts: 1,
			error: null,
		});
		await runOnce(server, job, { run: async () => undefined });
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({
			state: "completed",
			attempts: 1,
		});
	});
});
