import type { Context } from "../context.ts";

const dayMs = 24 * 3600 * 1000;

/** Platforms are asked for the deployments of a week: those that are told of then must be known still. */
const deploymentDaysMin = 8;

/** What the growing tables need every hour: nothing kept that has expired, and partitions ahead of time. */
export async function maintainTables(
	ctx: Pick<Context, "stores" | "log" | "clock" | "config">,
): Promise<void> {
	const daysAgo = (days: number) => new Date(ctx.clock.now().getTime() - days * dayMs);
	const keepFrom = daysAgo(ctx.config.retentionDays);
	const partitions = await ctx.stores.retention.dropPartitions(keepFrom);
	if (partitions.length > 0) ctx.log.info({ partitions }, "dropped what has outlived its retention");
	await ctx.stores.retention.makePartitions();
	await ctx.stores.retention.deleteExpiredKeys();
	await ctx.stores.retention.deleteDeployments(
		daysAgo(Math.max(ctx.config.retentionDays, deploymentDaysMin)),
	);
	const dropped = await ctx.stores.deliveries.dropOrphans();
	if (dropped > 0) ctx.log.info({ dropped }, "dropped deliveries whose endpoint is gone");
}
