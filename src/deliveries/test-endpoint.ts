import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { type EndpointId, newId, type OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { envelopeOf } from "../events/event.ts";
import { tooManyByHand } from "./errors.ts";
import type { DeliveryWithPayload } from "./store.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; actor: Actor };

/**
 * Sends `webhook.test` to one endpoint, whatever its filter and also while it is inactive: one attempt. Throws a
 * 429 beyond 60 deliveries by hand a minute.
 */
export async function testEndpoint(
	ctx: Pick<Context, "transaction">,
	{ organizationId, endpointId, actor }: Input,
): Promise<DeliveryWithPayload> {
	return ctx.transaction(async (tx) => {
		const endpoint = await tx.stores.endpoints.keep(endpointId);
		if (!endpoint) throw notFound("webhook endpoint");
		const waitMs = await tx.stores.deliveriesByHand.take(endpoint);
		if (waitMs !== null) throw tooManyByHand(waitMs);
		const data = JSON.stringify({
			endpoint_id: endpointId,
			message: "This is a test of your webhook endpoint.",
		});
		const event = { id: newId("evt"), type: "webhook.test", createdAt: tx.clock.now(), data };
		await tx.stores.events.insert({
			id: event.id,
			organizationId,
			projectId: endpoint.projectId,
			type: event.type,
			payload: envelopeOf(event),
			deliveryCount: 1,
			createdAt: event.createdAt,
		});
		const id = await tx.stores.deliveries.insert({
			organizationId,
			endpointId,
			eventId: event.id,
			eventType: event.type,
			origin: "test",
			maxAttempts: 1,
			createdAt: event.createdAt,
		});
		const metadata = { endpoint_id: endpointId, delivery_id: id };
		await recordAudit(tx, { organizationId, action: "webhook_endpoint.tested", actor, metadata });
		tx.wakeDeliveries([endpointId]);
		const delivery = await tx.stores.deliveries.find(organizationId, id);
		if (!delivery) throw notFound("delivery");
		return delivery;
	});
}
