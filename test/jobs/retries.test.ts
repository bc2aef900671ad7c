import { describe, expect, it } from "vitest";
import type { JobId } from "../../src/core/ids.ts";
import type { JobType } from "../../src/jobs/job-type.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import { type ClerkServer, connect, endedJob, startClerkServer } from "../integrations/clerk-server.ts";
import { until } from "../support/until.ts";
import {
	addIdleJob,
	eventTypes,
	getJob,
	hurry,
	nextAttemptSeconds,
	retryJob,
	runOnce,
} from "./running-jobs.ts";

/** Connects, then asks for a sync that meets the fault. */
async function syncWith(started: ClerkServer, fault: () => void): Promise<JobId> {
	const { server, tenant } = started;
	await connect(started);
	fault();
	const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
	const { status, body } = await server.call("POST", path, { key: tenant.key });
	expect(status).toBe(202);
	return body.job.id;
}

/** Waits until the job's attempt of that number has failed and the next one is queued. */
async function failedAttempt({ server, tenant }: ClerkServer, id: JobId, attempts: number) {
	return until(async () => {
		const { body } = await getJob(server, tenant, id);
		return body.job.attempts === attempts && body.job.state !== "running" ? body.job : null;
	});
}

describe("a failed attempt", () => {
	it("that was a passing trouble is made again soon, and leaves no trace in the completed job", async () => {
		const started = await startClerkServer(3);
		const id = await syncWith(started, () => started.clerk.failNext(503));
		const job = await failedAttempt(started, id, 1);
		expect(job).toMatchObject({
			state: "pending",
			retry_classification: "transient",
			completed_at: null,
			last_exit_code: 1,
			error: expect.stringMatching(/Clerk.*\.$/s),
		});
		expect(job.last_stderr).toBe(job.error);
		const seconds = await nextAttemptSeconds(started.server, id);
		expect(seconds).toBeGreaterThan(0);
		expect(seconds).toBeLessThanOrEqual(3);
		await hurry(started.server, id);
		expect(await endedJob(started.server, started.tenant, id)).toMatchObject({
			state: "completed",
			attempts: 2,
			error: null,
			last_stderr: null,
			last_exit_code: 0,
			retry_classification: null,
		});
	});

	it.each([
		["120", 120],
		[undefined, 10],
	])("with Retry-After %s waits as the provider says", async (retryAfter, waitSeconds) => {
		const started = await startClerkServer(3);
		const id = await syncWith(started, () => started.clerk.rateLimitNext(1, retryAfter));
		const job = await failedAttempt(started, id, 1);
		expect(job).toMatchObject({ state: "pending", retry_classification: "rate_limited" });
		const seconds = (await nextAttemptSeconds(started.server, id)) ?? 0;
		expect(seconds).toBeGreaterThan(waitSeconds - 5);
		expect(seconds).toBeLessThanOrEqual(waitSeconds + 1);
		await hurry(started.server, id);
		const ended = await endedJob(started.server, started.tenant, id);
		expect(ended).toMatchObject({ state: "completed", attempts: 2 });
	});

	it("by a limit of the provider's uses up no attempt when pages were read before it", async () => {
		const { server, tenant } = await startClerkServer(0);
		const job = await addIdleJob(server, tenant);
		const pages = 9;
		let read = 0;
		const type: JobType = {
			run: async (_, run) => {
				if (read === pages) return;
				read += 1;
				await run.saveProgress({ read });
				throw new ProviderError("rate_limited", "Slow down.", { provider: "Clerk", retryAfterSeconds: 600 });
			},
		};
		for (let attempt = 0; attempt <= pages; attempt += 1) await runOnce(server, job, type);
		const { body } = await getJob(server, tenant, job.id);
		expect(body.job).toMatchObject({ state: "completed", attempts: 1 });
		const stuck = await addIdleJob(server, tenant);
		const refused = new ProviderError("rate_limited", "Slow down.", { provider: "Clerk" });
		for (let attempt = 0; attempt < 5; attempt += 1)
			await runOnce(server, stuck, { run: () => Promise.reject(refused) });
		expect((await getJob(server, tenant, stuck.id)).body.job).toMatchObject({ state: "failed", attempts: 5 });
	});

	it.each([401, 403, 404])("by a %i of the provider is final: no second attempt is made", async (status) => {
		const started = await startClerkServer(3);
		// A 404 to whose the key is says nothing yet: the next request's counts.
		const id = await syncWith(started, () => started.clerk.failNext(status, status === 404 ? 2 : 1));
		const job = await endedJob(started.server, started.tenant, id);
		expect(job).toMatchObject({
			state: "failed",
			attempts: 1,
			retry_classification: "permanent",
			last_exit_code: 1,
			completed_at: expect.any(String),
			error: expect.stringMatching(/Clerk.*\.$/s),
		});
		expect(await nextAttemptSeconds(started.server, id)).toBeNull();
		const types = await eventTypes(started.server, started.tenant);
		expect(types.slice(-2)).toEqual(["integration.error", "job.failed"]);
		expect((await retryJob(started.server, started.tenant, id)).status).toBe(202);
		const ended = await endedJob(started.server, started.tenant, id);
		expect(ended).toMatchObject({ state: "completed", attempts: 1, error: null });
	});

	it("is the last one after five, with longer waits before each", async () => {
		const started = await startClerkServer(3);
		const id = await syncWith(started, () => started.clerk.failNext(500, 5));
		const waits: number[] = [];
		for (const attempts of [1, 2, 3, 4]) {
			await failedAttempt(started, id, attempts);
			waits.push(Math.round((await nextAttemptSeconds(started.server, id)) ?? 0));
			await hurry(started.server, id);
		}
		expect(waits).toEqual([...waits].sort((one, other) => one - other));
		expect(waits[3]).toBeGreaterThan(50);
		expect(await endedJob(started.server, started.tenant, id)).toMatchObject({
			state: "failed",
			attempts: 5,
			max_attempts: 5,
			retry_classification: "transient",
		});
		expect(await nextAttemptSeconds(started.server, id)).toBeNull();
		const types = await eventTypes(started.server, started.tenant);
		expect(types.filter((type) => type === "job.failed")).toHaveLength(1);
	});
});
