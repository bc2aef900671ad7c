import type { Context, Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { Job } from "../jobs/job.ts";
import { enqueueWork } from "./enqueue-work.ts";
import type { Integration } from "./integration.ts";

export function backfillType(providerId: string): string {
	return `integration.${providerId}_backfill`;
}

export function reconciliationType(providerId: string): string {
	return `integration.${providerId}_reconcile`;
}

/** Queues a backfill of an auth provider's users, unless one waits already. */
export function enqueueBackfill(
	tx: Pick<Transaction, "stores" | "tasks">,
	integration: Integration,
): Promise<Job> {
	return enqueueWork(tx, integration, backfillType(integration.provider));
}

/** Queues a backfill where the provider has a list and there is something to ask it with; else does nothing. */
export async function refillUsers(
	providers: Context["providers"],
	tx: Pick<Transaction, "stores" | "tasks">,
	id: IntegrationId,
): Promise<void> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration || integration.deletedAt || integration.state === "disabled") return;
	const provider = providers.auth.find((each) => each.id === integration.provider);
	if (provider?.listUsers && integration.credentials !== null) await enqueueBackfill(tx, integration);
}
