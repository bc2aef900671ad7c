import type { Transaction } from "../context.ts";
import { type Id, newId, type OrganizationId, type ProjectId } from "../core/ids.ts";
import type { Job } from "./job.ts";
import { taskOf } from "./task-of.ts";

type Input = {
	type: string;
	organizationId: OrganizationId;
	projectId: ProjectId | null;
	/** Two jobs on one resource never run at once: `integration:int_…`, `project:prj_…`. */
	lockedResource: string;
	/** What to do, by identifiers; never a secret. */
	input?: Record<string, unknown>;
	previewDatabaseId?: Id<"pvw">;
};

const attemptsMax = 5;

/** Creates the job's row and the task that runs it, in the caller's transaction. */
export async function enqueueJob(tx: Pick<Transaction, "stores" | "tasks">, input: Input): Promise<Job> {
	const job = await tx.stores.jobs.insert({
		id: newId("job"),
		organizationId: input.organizationId,
		projectId: input.projectId,
		type: input.type,
		maxAttempts: attemptsMax,
		lockedResource: input.lockedResource,
		input: input.input ?? {},
		...(input.previewDatabaseId === undefined ? {} : { previewDatabaseId: input.previewDatabaseId }),
	});
	await tx.tasks.send(taskOf(job.type), { jobId: job.id }, { singletonKey: job.lockedResource });
	return job;
}
