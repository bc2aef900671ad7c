import type { Context } from "../context.ts";

const overdueSeconds = 5;
const integrationsMax = 1_000;

/** Finds what a lost task left waiting, and integrations whose schema is still to be made. */
export async function sweepInbound(ctx: Pick<Context, "stores" | "tasks" | "providers">): Promise<void> {
	const providers = ctx.providers.auth.map((provider) => provider.id);
	const waiting = await ctx.stores.inbound.listOverdue(overdueSeconds, integrationsMax);
	const unready = await ctx.stores.integrations.listWithoutSchema(providers, integrationsMax);
	for (const integrationId of new Set([...waiting, ...unready])) {
		await ctx.tasks.send("inbound.apply", { integrationId }, { singletonKey: integrationId });
	}
}
