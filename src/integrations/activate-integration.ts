import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { publishEvents } from "../events/publish-events.ts";
import { isUsable } from "./integration.ts";
import { integrationEvent } from "./integration-event.ts";

/** Notes that `capydb_auth` stands: an integration that waited for nothing else is active from now on. */
export async function activateIntegration(
	ctx: Pick<Context, "transaction" | "publicUrl" | "providers">,
	id: IntegrationId,
): Promise<void> {
	await ctx.transaction(async (tx) => {
		const integration = await tx.stores.integrations.findForUpdate(id);
		if (!integration || integration.deletedAt) return;
		await tx.stores.integrations.report(id, { set: { schemaReadyAt: tx.clock.now().toISOString() } });
		if (integration.state !== "pending" || !isUsable(integration)) return;
		const active = await tx.stores.integrations.update(id, { state: "active" });
		await publishEvents(tx, [integrationEvent(ctx, active, "integration.connected")]);
	});
}
