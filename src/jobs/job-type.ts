import type { Context, Transaction } from "../context.ts";
import type { NewEvent } from "../events/event.ts";
import type { Job } from "./job.ts";

/** One attempt at a job, as its type's `run` sees it. */
export type JobRun = {
	job: Job;
	/** Aborts when the server stops or the claim is lost. */
	signal: AbortSignal;
	/** Adds a line to the step log that customers read: our own words, no secrets, no row contents. */
	say(line: string): void;
	/**
	 * Keeps the log and where to go on after a crash, given a transaction together with what it does. Throws
	 * JobClaimLost when another process took over.
	 */
	saveProgress(progress: Record<string, unknown>, tx?: Pick<Transaction, "stores">): Promise<void>;
};

/** What a job's end changes and announces; runs in the transaction that settles the job. */
export type Settlement = (tx: Transaction) => Promise<NewEvent[]>;

/**
 * How one type of job is done. `run` may be repeated from anywhere: it must find what is already there. It
 * throws to fail the attempt; `failed` runs when the job has failed for good.
 */
export type JobType = {
	run(ctx: Context, run: JobRun): Promise<Settlement | undefined>;
	failed?(tx: Transaction, job: Job, sentence: string): Promise<NewEvent[]>;
};
