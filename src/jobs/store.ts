import { and, desc, eq, inArray, lt, sql } from "drizzle-orm";
import type { JobId, ProjectId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { Job, RetryClassification } from "./job.ts";
import { keepTail } from "./step-log.ts";
import { jobs } from "./table.ts";

export type NewJob = Pick<
	Job,
	"id" | "organizationId" | "projectId" | "type" | "maxAttempts" | "lockedResource"
> & {
	input: Record<string, unknown>;
	previewDatabaseId?: Job["previewDatabaseId"];
};

type OpenJobs = { state: string; count: number; oldestSeconds: number };

/** How an attempt ended. */
export type JobOutcome =
	| { state: "completed"; stdout: string }
	| {
			state: "pending" | "failed";
			/** Whether it used up an attempt. */
			isCounted: boolean;
			stdout: string;
			error: string;
			stderr: string;
			exitCode: number;
			retryClassification: RetryClassification;
	  };

export function jobStore({ orm }: Database) {
	/** The row, only while the claim holds it. */
	const held = (id: JobId, claimId: string) =>
		and(eq(jobs.id, id), eq(jobs.claimId, claimId), eq(jobs.state, "running"));
	return {
		async insert(job: NewJob): Promise<Job> {
			const [row] = await orm
				.insert(jobs)
				.values({ ...job, state: "pending" })
				.returning();
			return row as Job;
		},

		async find(id: JobId): Promise<Job | null> {
			const [row] = await orm.select().from(jobs).where(eq(jobs.id, id));
			return row ?? null;
		},

		/** Newest first; one row more than `limit`, to show whether there are more. */
		async list(projectId: ProjectId, page: { limit: number; before: JobId | null }): Promise<Job[]> {
			return orm
				.select()
				.from(jobs)
				.where(
					and(eq(jobs.projectId, projectId), page.before === null ? undefined : lt(jobs.id, page.before)),
				)
				.orderBy(desc(jobs.id))
				.limit(page.limit + 1);
		},

		/** Jobs that wait and that run, and how long ago the one changed that is unchanged for longest. */
		async countOpen(): Promise<OpenJobs[]> {
			const { rows } = await orm.execute<OpenJobs>(sql`select s.state, count(j.id)::int as count,
					coalesce(extract(epoch from clock_now() - min(j.updated_at)), 0)::float8 as "oldestSeconds"
				from (values ('pending'), ('running')) as s(state)
				left join (select id, state, updated_at from jobs where state in ('pending', 'running')) j using (state)
				group by s.state`);
			return rows;
		},

		/** Jobs that wait or run and of which nothing was heard for longer than that, oldest first. */
		async listUnmoved(seconds: number, limit: number): Promise<Job[]> {
			return orm
				.select()
				.from(jobs)
				.where(
					and(
						inArray(jobs.state, ["pending", "running"]),
						sql`${jobs.updatedAt} <= clock_now() - ${seconds}::float8 * interval '1 second'`,
					),
				)
				.orderBy(jobs.updatedAt)
				.limit(limit);
		},

		/** Jobs on a resource that wait or run. */
		async listOpen(lockedResource: string): Promise<Job[]> {
			return orm
				.select()
				.from(jobs)
				.where(and(eq(jobs.lockedResource, lockedResource), inArray(jobs.state, ["pending", "running"])));
		},

		/** A job of the type that waits and cannot begin until the transaction ends: it will see what that commits. */
		async findWaitingForUpdate(lockedResource: string, type: string): Promise<Job | null> {
			const [row] = await orm
				.select()
				.from(jobs)
				.where(and(eq(jobs.lockedResource, lockedResource), eq(jobs.state, "pending"), eq(jobs.type, type)))
				.limit(1)
				.for("update");
			return row ?? null;
		},

		/**
		 * Takes the job for one attempt. A job found running is taken over from a process that died: the same
		 * attempt goes on. Null when it has ended. Throws the unique violation `jobs_running_resource_key` while
		 * another job runs on the resource.
		 */
		async claim(id: JobId, claim: { claimId: string; claimedBy: string }): Promise<Job | null> {
			const [row] = await orm
				.update(jobs)
				.set({
					...claim,
					state: "running",
					attempts: sql`${jobs.attempts} + (${jobs.state} = 'pending')::int`,
					claimedAt: sql`clock_now()`,
					startedAt: sql`coalesce(${jobs.startedAt}, clock_now())`,
					updatedAt: sql`clock_now()`,
				})
				.where(and(eq(jobs.id, id), inArray(jobs.state, ["pending", "running"])))
				.returning();
			return row ?? null;
		},

		/** Keeps the step log and where to go on. False when the claim was lost: the runner must stop. */
		async saveProgress(
			id: JobId,
			claimId: string,
			{ stdout, progress }: { stdout: string; progress: Record<string, unknown> },
		): Promise<boolean> {
			const rows = await orm
				.update(jobs)
				.set({ lastStdout: keepTail(stdout), progress, updatedAt: sql`clock_now()` })
				.where(held(id, claimId))
				.returning({ id: jobs.id });
			return rows.length > 0;
		},

		/** Ends the attempt; null when the claim was lost meanwhile. */
		async settle(id: JobId, claimId: string, outcome: JobOutcome): Promise<Job | null> {
			const isOver = outcome.state !== "pending";
			const [row] = await orm
				.update(jobs)
				.set({
					state: outcome.state,
					lastStdout: keepTail(outcome.stdout),
					completedAt: isOver ? sql`clock_now()` : null,
					claimId: null,
					updatedAt: sql`clock_now()`,
					...(outcome.state === "completed"
						? { error: null, lastStderr: null, lastExitCode: 0, retryClassification: null }
						: {
								...(outcome.isCounted ? {} : { attempts: sql`${jobs.attempts} - 1` }),
								error: outcome.error,
								lastStderr: keepTail(outcome.stderr),
								lastExitCode: outcome.exitCode,
								retryClassification: outcome.retryClassification,
							}),
				})
				.where(held(id, claimId))
				.returning();
			return row ?? null;
		},

		/** Puts a failed job back with all its attempts; null when it has not failed. */
		async reopen(id: JobId): Promise<Job | null> {
			const [row] = await orm
				.update(jobs)
				.set({
					state: "pending",
					attempts: 0,
					completedAt: null,
					retryClassification: null,
					updatedAt: sql`clock_now()`,
				})
				.where(and(eq(jobs.id, id), eq(jobs.state, "failed")))
				.returning();
			return row ?? null;
		},
	};
}
