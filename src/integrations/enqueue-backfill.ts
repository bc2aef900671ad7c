import type { Transaction } from "../context.ts";
import type { Job } from "../jobs/job.ts";
import { enqueueWork } from "./enqueue-work.ts";
import type { Integration } from "./integration.ts";

export function backfillType(providerId: string): string {
	return `integration.${providerId}_backfill`;
}

/** Queues a backfill of an auth provider's users, unless one waits already. */
export function enqueueBackfill(
	tx: Pick<Transaction, "stores" | "tasks">,
	integration: Integration,
): Promise<Job> {
	return enqueueWork(tx, integration, backfillType(integration.provider));
}
