import type { Context } from "../context.ts";

/** What the growing tables need every hour: partitions ahead of time, and nothing kept that has expired. */
export async function maintainTables(ctx: Pick<Context, "stores" | "log">): Promise<void> {
	await ctx.stores.retention.makePartitions();
	await ctx.stores.retention.deleteExpiredKeys();
	const dropped = await ctx.stores.deliveries.dropOrphans();
	if (dropped > 0) ctx.log.info({ dropped }, "dropped deliveries whose endpoint is gone");
}
