import type { Context, Transaction } from "../../context.ts";
import { notFound } from "../../core/errors.ts";
import { numeral } from "../../core/numeral.ts";
import type { JobRun } from "../../jobs/job-type.ts";
import { replayStopped } from "../errors.ts";
import { fromJobInput, progressAfter, type ReplayProgress, type ReplayScope, replayBegin } from "./replay.ts";

/** Kept together with what each step queued. */
type JobProgress = ReplayProgress & { queued: number };

/** Deliveries or events that one transaction looks at. */
const rowsInStep = 1_000;

/**
 * The job `webhook.replay`: queues one delivery for each event in scope, step by step. What a step queues and where
 * the next begins are one commit, so that after a crash the job goes on and no event is queued twice or left out.
 */
export async function runReplay(ctx: Context, run: JobRun): Promise<undefined> {
	const scope = fromJobInput(run.job.input);
	let progress = readProgress(run.job.progress);
	if (progress.cursor !== null) run.say(`went on after ${numeral(progress.queued)} deliveries`);
	while (progress.phase !== "over") {
		run.signal.throwIfAborted();
		const at = progress;
		progress = await ctx.transaction((tx) => takeStep(tx, run, scope, at));
	}
	run.say(`queued ${numeral(progress.queued)} deliveries`);
	return undefined;
}

async function takeStep(
	tx: Transaction,
	run: JobRun,
	scope: ReplayScope,
	progress: JobProgress,
): Promise<JobProgress> {
	const endpoint = await tx.stores.endpoints.find(scope.endpointId);
	if (!endpoint) throw notFound("webhook endpoint");
	if (!endpoint.isActive) throw replayStopped();
	const { last, matched: queued } = await tx.stores.replays.step(scope, progress, {
		rows: rowsInStep,
		maxAttempts: tx.config.webhook.retryScheduleSeconds.length,
	});
	if (queued > 0) tx.wakeDeliveries([scope.endpointId]);
	const next = { ...progressAfter(scope, progress, last), queued: progress.queued + queued };
	await run.saveProgress(next, tx);
	return next;
}

function readProgress(saved: Record<string, unknown>): JobProgress {
	// Only `takeStep` wrote it.
	return "phase" in saved ? (saved as JobProgress) : { ...replayBegin, queued: 0 };
}
