import type { Transaction } from "../context.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { type Branch, branchResource } from "./branch.ts";

export const branchJobType = "integration.sync_branch";

/** Queues what brings a branch's variables to its database. One that waits already serves as well. */
export async function enqueueBranch(
	tx: Pick<Transaction, "stores" | "tasks">,
	{ organizationId, projectId, integrationId, branch, previewDatabaseId }: Branch,
): Promise<Job> {
	const lockedResource = branchResource({ integrationId, branch });
	const waiting = await tx.stores.jobs.findWaitingForUpdate(lockedResource, branchJobType);
	if (waiting) return waiting;
	return enqueueJob(tx, {
		type: branchJobType,
		organizationId,
		projectId,
		lockedResource,
		input: { integration_id: integrationId, branch },
		...(previewDatabaseId === null ? {} : { previewDatabaseId }),
	});
}
