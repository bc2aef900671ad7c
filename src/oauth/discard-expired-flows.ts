import type { Context } from "../context.ts";

/**
 * Forgets flows that nobody finished, with the grants that nobody confirmed. Those are not given back at the
 * platform: one installation there may serve other projects.
 */
export async function discardExpiredFlows(ctx: Pick<Context, "stores">): Promise<void> {
	await ctx.stores.oauthFlows.deleteExpired();
}
