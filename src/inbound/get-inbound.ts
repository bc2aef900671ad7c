import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { type IntegrationId, isId } from "../core/ids.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

/** Throws a 404 when the integration received no such event. */
export async function getInbound(
	ctx: Pick<Context, "stores">,
	input: { integrationId: IntegrationId; id: string },
): Promise<InboundWebhook> {
	const { integrationId, id } = input;
	const webhook = isId("inb", id) ? await ctx.stores.inbound.find(integrationId, id) : null;
	if (!webhook) throw notFound("event");
	return webhook;
}
