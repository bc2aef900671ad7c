import type { Context, Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { Job } from "../jobs/job.ts";
import type { AuthProvider } from "../providers/provider.ts";
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
	ctx: Pick<Context, "transaction">,
	id: IntegrationId,
	provider: AuthProvider,
): Promise<void> {
	await ctx.transaction(async (tx) => {
		const integration = await tx.stores.integrations.findForUpdate(id);
		if (!integration || integration.deletedAt || integration.state === "disabled") return;
		if (provider.listUsers !== null && integration.credentials !== null) {
			await enqueueBackfill(tx, integration);
		}
	});
}
