import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { backfillType, reconciliationType } from "./enqueue-backfill.ts";
import { enqueueWork } from "./enqueue-work.ts";

const batchSize = 500;
/** Less than from one night to the next, more than the schedule's own retries take. */
const restHours = 12;

/**
 * Queues the nightly reconciliation of every integration whose provider lists its users: by their number, or, where
 * the provider does not say that, by reading them all again. Replicas may do it at the same time, and a run that died may be repeated: each
 * integration is looked at again under its lock, so it gets one job a night.
 */
export async function queueReconciliations(
	ctx: Pick<Context, "stores" | "transaction" | "providers" | "log">,
): Promise<void> {
	const providers = ctx.providers.auth.filter(({ listUsers }) => listUsers !== null).map(({ id }) => id);
	let after: IntegrationId | null = null;
	for (;;) {
		const ids: IntegrationId[] = await ctx.stores.integrations.listReconcilable(providers, {
			restHours,
			after,
			limit: batchSize,
		});
		for (const id of ids) await queueOne(ctx, providers, id);
		after = ids.at(-1) ?? null;
		if (after === null) return;
	}
}

async function queueOne(
	ctx: Pick<Context, "transaction" | "providers" | "log">,
	providers: readonly string[],
	id: IntegrationId,
): Promise<void> {
	try {
		await ctx.transaction(async (tx) => {
			const integration = await tx.stores.integrations.findReconcilableForUpdate(providers, {
				restHours,
				id,
			});
			if (!integration) return;
			await tx.stores.integrations.report(id, {
				set: { reconcileQueuedAt: tx.clock.now().toISOString() },
			});
			const provider = ctx.providers.auth.find((each) => each.id === integration.provider);
			const typeOf = provider?.countUsers ? reconciliationType : backfillType;
			await enqueueWork(tx, integration, typeOf(integration.provider));
		});
	} catch (error) {
		ctx.log.warn({ integration_id: id, err: error }, "a reconciliation could not be queued");
	}
}
