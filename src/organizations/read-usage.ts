import type { Context } from "../context.ts";
import type { OrganizationId } from "../core/ids.ts";
import type { Usage } from "./organization.ts";

/** Counts of the present month, which begins on its first day at midnight UTC. */
export async function readUsage(
	ctx: Pick<Context, "stores" | "clock">,
	organizationId: OrganizationId,
): Promise<{ usage: Usage; periodStart: Date }> {
	const now = ctx.clock.now();
	const periodStart = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
	return { usage: await ctx.stores.organizations.usage(organizationId, periodStart), periodStart };
}
