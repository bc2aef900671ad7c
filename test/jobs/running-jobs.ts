import { randomUUID } from "node:crypto";
import { type JobId, newId, type OrganizationId, type ProjectId, toUuid } from "../../src/core/ids.ts";
import type { Job } from "../../src/jobs/job.ts";
import type { JobType } from "../../src/jobs/job-type.ts";
import { runJob } from "../../src/jobs/run-job.ts";
import type { Answer, Tenant, TestServer } from "../support/server.ts";

/** Each field of the published Job, and what it holds when it holds something. */
export const jobFields = {
	id: "string",
	organization_id: "string",
	project_id: "string",
	preview_database_id: "string",
	cluster_id: "string",
	type: "string",
	state: "string",
	attempts: "number",
	max_attempts: "number",
	claimed_by: "string",
	claimed_at: "string",
	started_at: "string",
	completed_at: "string",
	error: "string",
	last_stdout: "string",
	last_stderr: "string",
	last_exit_code: "number",
	locked_resource: "string",
	retry_classification: "string",
	created_at: "string",
	updated_at: "string",
} as const;

/** A job's row without the task that would run it: the test does that itself. */
export function addIdleJob(server: TestServer, tenant: Tenant, type = "test.job"): Promise<Job> {
	return server.ctx.stores.jobs.insert({
		id: newId("job"),
		organizationId: tenant.organizationId as OrganizationId,
		projectId: tenant.projectId as ProjectId,
		type,
		maxAttempts: 5,
		lockedResource: `test:${randomUUID()}`,
		input: {},
	});
}

/** Runs one attempt of a job with a type of the test's own. */
export function runOnce(server: TestServer, job: Job, type: JobType, signal = new AbortController().signal) {
	return runJob(server.ctx, { jobId: job.id, types: { [job.type]: type }, signal });
}

export function getJob(server: TestServer, tenant: Pick<Tenant, "key">, id: string): Promise<Answer> {
	return server.call("GET", `/v1/jobs/${id}`, { key: tenant.key });
}

export function retryJob(server: TestServer, tenant: Pick<Tenant, "key">, id: string): Promise<Answer> {
	return server.call("POST", `/v1/jobs/${id}/retry`, { key: tenant.key });
}

/** In how many seconds the job's next attempt is due; null when none is queued. */
export async function nextAttemptSeconds(server: TestServer, id: JobId): Promise<number | null> {
	const rows = await server.sql<{ seconds: number }>(
		`select extract(epoch from start_after - now())::float8 as seconds from pgboss.job
		where name in ('jobs.run', 'jobs.run_long') and state in ('created', 'retry') and data->>'jobId' = $1`,
		[id],
	);
	return rows[0]?.seconds ?? null;
}

/** Makes the job's queued attempt due now: the queue keeps Postgres's own time. */
export async function hurry(server: TestServer, id: JobId): Promise<void> {
	await server.sql(
		`update pgboss.job set start_after = now()
		where name in ('jobs.run', 'jobs.run_long') and state in ('created', 'retry') and data->>'jobId' = $1`,
		[id],
	);
}

/** The types of the tenant's events that speak of the job or were published with it, oldest first. */
export async function eventTypes(server: TestServer, tenant: Tenant): Promise<string[]> {
	const rows = await server.sql<{ type: string }>(
		"select type from events where organization_id = $1 order by id",
		[toUuid(tenant.organizationId)],
	);
	return rows.map(({ type }) => type);
}
