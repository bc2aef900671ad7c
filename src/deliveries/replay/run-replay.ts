import type { Context, Transaction } from "../../context.ts";
import { notFound } from "../../core/errors.ts";
import { numeral } from "../../core/numeral.ts";
import type { JobRun } from "../../jobs/job-type.ts";
import { replayStopped } from "../errors.ts";
import { fromJobInput, type ReplayProgress, type ReplayScope } from "./replay.ts";

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
	progress: ReplayProgress,
): Promise<ReplayProgress> {
	const endpoint = await tx.stores.endpoints.find(scope.endpointId);
	if (!endpoint) throw notFound("webhook endpoint");
	if (!endpoint.isActive) throw replayStopped();
	const { last, queued } = await tx.stores.replays.step(scope, progress, {
		rows: rowsInStep,
		maxAttempts: tx.config.webhook.retryScheduleSeconds.length,
	});
	if (queued > 0) tx.wakeDeliveries([scope.endpointId]);
	const next = { ...following(scope, progress.phase, last), queued: progress.queued + queued };
	await run.saveProgress(next, tx);
	return next;
}

function following(
	scope: ReplayScope,
	phase: ReplayProgress["phase"],
	last: string | null,
): Pick<ReplayProgress, "phase" | "cursor"> {
	if (last !== null) return { phase, cursor: last };
	return { phase: phase === "sent" && scope.includeUnsent ? "unsent" : "over", cursor: null };
}

function readProgress(saved: Record<string, unknown>): ReplayProgress {
	// Only `takeStep` wrote it.
	return "phase" in saved ? (saved as ReplayProgress) : { phase: "sent", cursor: null, queued: 0 };
}
