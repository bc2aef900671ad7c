import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import type { JobId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { jobNotFailed } from "./errors.ts";
import type { Job } from "./job.ts";
import { taskOf } from "./task-of.ts";

/** Queues a failed job again with all its attempts. Throws a 409 for one that has not failed. */
export async function retryJob(
	ctx: Pick<Context, "transaction">,
	input: { jobId: JobId; actor: Actor },
): Promise<Job> {
	return ctx.transaction(async (tx) => {
		const job = await tx.stores.jobs.reopen(input.jobId);
		if (!job) throw jobNotFailed();
		await tx.tasks.send(taskOf(job.type), { jobId: job.id }, { singletonKey: job.lockedResource });
		const { organizationId, projectId, id: jobId, type } = job;
		const metadata = { job_id: jobId, type };
		await recordAudit(tx, { organizationId, projectId, action: "job.retried", actor: input.actor, metadata });
		return job;
	});
}
