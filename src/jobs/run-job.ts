import { randomUUID } from "node:crypto";
import type { Context, Transaction } from "../context.ts";
import type { JobId } from "../core/ids.ts";
import { type Span, type SpanStart, traced } from "../core/tracing.ts";
import type { NewEvent } from "../events/event.ts";
import { publishEvents } from "../events/publish-events.ts";
import { brokenConstraint } from "../platform/db-errors.ts";
import { classifyFailure, type Failure } from "./classify-failure.ts";
import { JobClaimLost } from "./errors.ts";
import type { Job } from "./job.ts";
import { jobEvent } from "./job-event.ts";
import type { JobRun, JobType, Settlement } from "./job-type.ts";
import { scrub } from "./step-log.ts";
import type { JobOutcome } from "./store.ts";
import { taskOf } from "./task-of.ts";

/** Waits before the second to fifth attempt of a job that failed in passing, in seconds. */
const backoffSeconds = [2, 10, 30, 60];
const busyWaitSeconds = 2;

type Input = { jobId: JobId; types: Record<string, JobType>; signal: AbortSignal };

/**
 * Runs one attempt of a job and settles it: its row, its events and what comes next commit together. Safe to run
 * twice and to resume anywhere; a runner whose claim was taken over changes nothing.
 */
export async function runJob(ctx: Context, { jobId, types, signal }: Input): Promise<void> {
	const claimId = randomUUID();
	const job = await claim(ctx, jobId, claimId);
	if (!job) return;
	const type = types[job.type];
	if (!type) throw new Error(`No such type of job: ${job.type}`);
	await traced(
		ctx.tracing,
		() => jobSpan(job),
		(span) => runClaimed(ctx, { job, claimId, type, signal, span }),
	);
}

/** Null when there is nothing to do: it has ended, or another job has the resource and this one waits its turn. */
async function claim(ctx: Context, jobId: JobId, claimId: string): Promise<Job | null> {
	try {
		return await ctx.stores.jobs.claim(jobId, { claimId, claimedBy: ctx.replica });
	} catch (error) {
		if (brokenConstraint(error) !== "jobs_running_resource_key") throw error;
		const job = await ctx.stores.jobs.find(jobId);
		if (job) {
			const options = { startAfterSeconds: busyWaitSeconds, singletonKey: job.lockedResource };
			await ctx.tasks.send(taskOf(job.type), { jobId }, options);
		}
		return null;
	}
}

function jobSpan({ id, type, organizationId, projectId, attempts }: Job): SpanStart {
	return {
		name: `job ${type}`,
		kind: "internal",
		attributes: {
			"capydb.job_id": id,
			"capydb.job_type": type,
			"capydb.job_attempt": attempts,
			"capydb.organization_id": organizationId,
			...(projectId !== null && { "capydb.project_id": projectId }),
		},
	};
}

type Claimed = { job: Job; claimId: string; type: JobType; signal: AbortSignal; span: Span };

async function runClaimed(ctx: Context, { job, claimId, type, signal, span }: Claimed): Promise<void> {
	const log = stepLog(ctx, job, claimId, signal);
	const startedAt = performance.now();
	const measure = (outcome: "completed" | "retried" | "failed") =>
		ctx.meters.jobAttempt(job.type, outcome, (performance.now() - startedAt) / 1000);
	try {
		const settlement = await type.run(ctx, log.run);
		await settle(ctx, job, claimId, { state: "completed", stdout: log.text() }, settlement);
		measure("completed");
	} catch (error) {
		if (error instanceof JobClaimLost) return;
		// A stop is nobody's failure: the task goes back, and the same attempt goes on elsewhere.
		if (signal.aborted) throw error;
		const failure = classifyFailure(error);
		span.fail(failure.classification);
		ctx.log.warn(
			{ job_id: job.id, type: job.type, classification: failure.classification, err: error },
			"job attempt failed",
		);
		// Of a long list each stretch may end in a provider's limit: that is no attempt that failed.
		const isCounted = failure.classification !== "rate_limited" || !log.hasProgressed();
		measure(await settleFailure(ctx, { job, claimId, failure, isCounted, stdout: log.text(), type }));
	}
}

function stepLog(
	ctx: Context,
	job: Job,
	claimId: string,
	signal: AbortSignal,
): { run: JobRun; text(): string; hasProgressed(): boolean } {
	const lines = job.lastStdout === null ? [] : [job.lastStdout];
	let progressed = false;
	const text = () => lines.join("\n");
	const run: JobRun = {
		job,
		signal,
		say: (line) => lines.push(scrub(line)),
		saveProgress: async (progress, tx = ctx) => {
			const isHeld = await tx.stores.jobs.saveProgress(job.id, claimId, { stdout: text(), progress });
			if (!isHeld) throw new JobClaimLost();
			progressed = true;
		},
	};
	return { run, text, hasProgressed: () => progressed };
}

async function settle(
	ctx: Context,
	job: Job,
	claimId: string,
	outcome: JobOutcome & { state: "completed" },
	settlement: Settlement | undefined,
): Promise<void> {
	await ctx.transaction(async (tx) => {
		const settled = await tx.stores.jobs.settle(job.id, claimId, outcome);
		if (!settled) throw new JobClaimLost();
		const specific = (await settlement?.(tx)) ?? [];
		await publishEvents(tx, [...specific, jobEvent(settled, "job.completed")]);
	});
}

type FailedAttempt = {
	job: Job;
	claimId: string;
	failure: Failure;
	/** Whether it uses up one of the job's attempts. */
	isCounted: boolean;
	stdout: string;
	type: JobType;
};

async function settleFailure(
	ctx: Context,
	{ job, claimId, failure, isCounted, stdout, type }: FailedAttempt,
): Promise<"retried" | "failed"> {
	const isOver = failure.classification === "permanent" || (isCounted && job.attempts >= job.maxAttempts);
	await ctx.transaction(async (tx) => {
		const settled = await tx.stores.jobs.settle(job.id, claimId, {
			state: isOver ? "failed" : "pending",
			isCounted,
			stdout,
			stderr: failure.stderr,
			error: failure.sentence,
			exitCode: failure.exitCode,
			retryClassification: failure.classification,
		});
		if (!settled) return;
		if (isOver) await announceFailure(tx, settled, failure.sentence, type);
		else await scheduleRetry(tx, settled, failure);
	});
	return isOver ? "failed" : "retried";
}

async function announceFailure(tx: Transaction, job: Job, sentence: string, type: JobType): Promise<void> {
	const specific: NewEvent[] = (await type.failed?.(tx, job, sentence)) ?? [];
	await publishEvents(tx, [...specific, jobEvent(job, "job.failed")]);
}

async function scheduleRetry(tx: Transaction, job: Job, failure: Failure): Promise<void> {
	const wait = backoffSeconds[Math.min(job.attempts, backoffSeconds.length) - 1] ?? 2;
	const startAfterSeconds = failure.waitSeconds ?? wait;
	await tx.tasks.send(
		taskOf(job.type),
		{ jobId: job.id },
		{ startAfterSeconds, singletonKey: job.lockedResource },
	);
}
