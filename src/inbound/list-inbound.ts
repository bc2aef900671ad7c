import type { Context } from "../context.ts";
import type { InboundId, IntegrationId } from "../core/ids.ts";
import type { Rejections } from "../integrations/integration.ts";
import type { InboundSummary } from "./inbound-webhook.ts";

/** Webhooks that an integration received, newest first, one row more than asked for; and those it rejected. */
export async function listInbound(
	ctx: Pick<Context, "stores">,
	input: { integrationId: IntegrationId; page: { limit: number; before: InboundId | null } },
): Promise<{ webhooks: InboundSummary[]; rejections: Rejections }> {
	const webhooks = await ctx.stores.inbound.list(input.integrationId, input.page);
	return { webhooks, rejections: await ctx.stores.rejections.find(input.integrationId) };
}
