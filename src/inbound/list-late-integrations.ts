import type { Context } from "../context.ts";
import type { LateIntegration } from "./store.ts";

/** Integrations whose webhooks have not taken effect for longer than that, oldest first. */
export function listLateIntegrations(
	ctx: Pick<Context, "stores">,
	{ olderThanSeconds, limit }: { olderThanSeconds: number; limit: number },
): Promise<LateIntegration[]> {
	return ctx.stores.inbound.summarizeOverdue(olderThanSeconds, limit);
}
