import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { isId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { integrationDisabled } from "../integrations/errors.ts";
import type { Integration } from "../integrations/integration.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

/**
 * Lets a stored event take effect once more, under the same rules of order: one that changes nothing is not
 * announced, unless a backfill alone has brought the change. Throws a 404 without such an event, a 409 while the
 * integration is disabled.
 */
export async function replayInbound(
	ctx: Pick<Context, "transaction">,
	input: { integration: Integration; id: string; actor: Actor },
): Promise<InboundWebhook> {
	const { integration, id, actor } = input;
	if (!isId("inb", id)) throw notFound("event");
	return ctx.transaction(async (tx) => {
		const webhook = await tx.stores.inbound.reopen(integration.id, id);
		if (!webhook) throw notFound("event");
		if (integration.state === "disabled") throw integrationDisabled();
		await tx.tasks.send("inbound.apply", { integrationId: integration.id }, { singletonKey: integration.id });
		const { organizationId, projectId, provider } = webhook;
		const metadata = { integration_id: integration.id, provider, event_id: id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.integration.event_replayed",
			actor,
			metadata,
		});
		return webhook;
	});
}
