import type { Context } from "../context.ts";
import type { OverdueLane } from "./backlog-store.ts";

/** Endpoints whose due deliveries nobody has taken for longer than that, oldest first. */
export function listOverdue(
	ctx: Pick<Context, "stores">,
	{ olderThanSeconds, limit }: { olderThanSeconds: number; limit: number },
): Promise<OverdueLane[]> {
	return ctx.stores.deliveryBacklog.listOverdue(olderThanSeconds, limit);
}
