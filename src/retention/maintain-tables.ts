import type { Context } from "../context.ts";
import { forEvery } from "../core/for-every.ts";

const dayMs = 24 * 3600 * 1000;

/** Platforms are asked for the deployments of a week: those that are told of then must be known still. */
const deploymentDaysMin = 8;

/**
 * What the growing tables need every hour: partitions ahead of time, and nothing kept that has expired. No step keeps
 * the others from being done; throws at the end when one has failed. What has to be there for anything to be written
 * comes first, what a long reader holds up comes last.
 */
export async function maintainTables(
	ctx: Pick<Context, "stores" | "log" | "clock" | "config">,
	signal: AbortSignal,
): Promise<void> {
	const { retention, deliveries } = ctx.stores;
	const daysAgo = (days: number) => new Date(ctx.clock.now().getTime() - days * dayMs);
	const keepFrom = daysAgo(ctx.config.retentionDays);
	const deploymentsFrom = daysAgo(Math.max(ctx.config.retentionDays, deploymentDaysMin));
	const steps = {
		make_partitions: () => retention.makePartitions(keepFrom),
		delete_idempotency_keys: () => retention.deleteIdempotencyKeys(signal),
		delete_dedup_keys: () => retention.deleteDedupKeys(signal),
		delete_deployments: () => retention.deleteDeployments(deploymentsFrom, signal),
		drop_orphans: async () => {
			const dropped = await deliveries.dropOrphans();
			if (dropped > 0) ctx.log.info({ dropped }, "dropped deliveries whose endpoint is gone");
		},
		drop_partitions: () => dropPartitions(ctx, keepFrom),
		// Where the database's clock is far ahead, what is written to now was among those.
		make_dropped_partitions: () => retention.makePartitions(keepFrom),
	};
	await forEvery(
		Object.entries(steps),
		([, run]) => run(),
		([step], error) => ctx.log.warn({ step, err: error }, "a step of the tables' maintenance failed"),
	);
}

/** A reader of one table keeps only that one's from being dropped. */
async function dropPartitions(
	{ stores, log }: Pick<Context, "stores" | "log">,
	keepFrom: Date,
): Promise<void> {
	await forEvery(
		await stores.retention.listExpiredPartitions(keepFrom),
		async (partition) => {
			await stores.retention.dropPartition(partition);
			log.info({ partition: partition.name }, "dropped what has outlived its retention");
		},
		({ name }, error) => log.warn({ partition: name, err: error }, "a partition could not be dropped"),
	);
}
