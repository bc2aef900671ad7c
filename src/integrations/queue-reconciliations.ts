import type { Context } from "../context.ts";
import { forEvery } from "../core/for-every.ts";
import type { IntegrationId } from "../core/ids.ts";
import { backfillType, reconciliationType } from "./enqueue-backfill.ts";
import { enqueueWork } from "./enqueue-work.ts";

const batchSize = 500;
/** Less than from one night to the next, more than the schedule's own retries take. */
const restHours = 12;

/**
 * Queues the nightly reconciliation of every integration whose provider lists its users: by their number, or, where
 * the provider does not say that, by reading them all again. Replicas may do it at the same time, and a run that died
 * may be repeated: each integration is looked at again under its lock, so it gets one job a night. Throws at the end
 * when one could not be queued.
 */
export async function queueReconciliations(
	ctx: Pick<Context, "stores" | "transaction" | "providers" | "log">,
): Promise<void> {
	const providers = ctx.providers.auth.filter(({ listUsers }) => listUsers !== null).map(({ id }) => id);
	await forEvery(
		listReconcilable(ctx, providers),
		(id) => queueOne(ctx, providers, id),
		(id, error) => ctx.log.warn({ integration_id: id, err: error }, "a reconciliation could not be queued"),
	);
}

async function* listReconcilable(
	{ stores }: Pick<Context, "stores">,
	providers: readonly string[],
): AsyncGenerator<IntegrationId> {
	let after: IntegrationId | null = null;
	do {
		const ids: IntegrationId[] = await stores.integrations.listReconcilable(providers, {
			restHours,
			after,
			limit: batchSize,
		});
		yield* ids;
		after = ids.at(-1) ?? null;
	} while (after !== null);
}

async function queueOne(
	ctx: Pick<Context, "transaction" | "providers">,
	providers: readonly string[],
	id: IntegrationId,
): Promise<void> {
	await ctx.transaction(async (tx) => {
		const integration = await tx.stores.integrations.findReconcilableForUpdate(providers, { restHours, id });
		if (!integration) return;
		await tx.stores.integrations.report(id, { set: { reconcileQueuedAt: tx.clock.now().toISOString() } });
		const provider = ctx.providers.auth.find((each) => each.id === integration.provider);
		const typeOf = provider?.countUsers ? reconciliationType : backfillType;
		await enqueueWork(tx, integration, typeOf(integration.provider));
	});
}
