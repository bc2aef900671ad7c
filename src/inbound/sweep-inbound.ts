import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";

const overdueSeconds = 5;
const integrationsMax = 1_000;

/**
 * Returns a sweep that finds what a lost task left waiting, and integrations whose schema is still to be made. Each
 * goes on where the last one ended, so that those whose webhooks cannot take effect never hide the others.
 */
export function createInboundSweep(
	ctx: Pick<Context, "stores" | "tasks" | "providers">,
	limit = integrationsMax,
): () => Promise<void> {
	const providers = ctx.providers.auth.map((provider) => provider.id);
	let after: IntegrationId | null = null;
	return async () => {
		const waiting = await ctx.stores.inbound.listOverdue(overdueSeconds, { after, limit });
		const unready = await ctx.stores.integrations.listWithoutSchema(providers, limit);
		for (const integrationId of new Set([...waiting, ...unready])) {
			await ctx.tasks.send("inbound.apply", { integrationId }, { singletonKey: integrationId });
		}
		after = waiting.length < limit ? null : (waiting.at(-1) ?? null);
	};
}
