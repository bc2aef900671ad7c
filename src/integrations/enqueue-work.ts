import type { Transaction } from "../context.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import type { Integration } from "./integration.ts";

/** The resource of all jobs of one integration: they never run at once. */
export function resourceOf(integration: Pick<Integration, "id">): string {
	return `integration:${integration.id}`;
}

/**
 * Queues a job of an integration behind what runs now. One of its type that waits already serves as well: it reads
 * what holds when it runs. The caller has locked the integration, so that two of them do not queue two.
 */
export async function enqueueWork(
	tx: Pick<Transaction, "stores" | "tasks">,
	integration: Integration,
	type: string,
): Promise<Job> {
	const lockedResource = resourceOf(integration);
	const waiting = await tx.stores.jobs.findWaitingForUpdate(lockedResource, type);
	if (waiting) return waiting;
	const { organizationId, projectId, id } = integration;
	return enqueueJob(tx, { type, organizationId, projectId, lockedResource, input: { integration_id: id } });
}
