import type { Transaction } from "../context.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import type { Integration } from "./integration.ts";

/** The resource of all jobs of one integration: they never run at once. */
export function resourceOf(integration: Pick<Integration, "id">): string {
	return `integration:${integration.id}`;
}

export function backfillType(providerId: string): string {
	return `integration.${providerId}_backfill`;
}

/**
 * Queues a backfill behind what runs now. One that waits already serves as well: it reads the credentials when
 * it runs.
 */
export async function enqueueBackfill(
	tx: Pick<Transaction, "stores" | "tasks">,
	integration: Integration,
): Promise<Job> {
	const type = backfillType(integration.provider);
	const lockedResource = resourceOf(integration);
	const open = await tx.stores.jobs.listOpen(lockedResource);
	const waiting = open.find((job) => job.state === "pending" && job.type === type);
	if (waiting) return waiting;
	const { organizationId, projectId, id } = integration;
	return enqueueJob(tx, { type, organizationId, projectId, lockedResource, input: { integration_id: id } });
}
