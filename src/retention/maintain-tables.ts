import type { Context } from "../context.ts";

const dayMs = 24 * 3600 * 1000;

/** What the growing tables need every hour: nothing kept that has expired, and partitions ahead of time. */
export async function maintainTables(
	ctx: Pick<Context, "stores" | "log" | "clock" | "config">,
): Promise<void> {
	const keepFrom = new Date(ctx.clock.now().getTime() - ctx.config.retentionDays * dayMs);
	const partitions = await ctx.stores.retention.dropPartitions(keepFrom);
	if (partitions.length > 0) ctx.log.info({ partitions }, "dropped what has outlived its retention");
	await ctx.stores.retention.makePartitions();
	await ctx.stores.retention.deleteExpiredKeys();
	const dropped = await ctx.stores.deliveries.dropOrphans();
	if (dropped > 0) ctx.log.info({ dropped }, "dropped deliveries whose endpoint is gone");
}
