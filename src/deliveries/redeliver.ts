import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { DeliveryId, EndpointId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { endpointInactive, payloadGone, tooManyByHand } from "./errors.ts";
import { getDelivery } from "./get-delivery.ts";
import type { DeliveryWithPayload } from "./store.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; deliveryId: DeliveryId; actor: Actor };

/**
 * Sends the same envelope once more as a new delivery, with all its attempts; the endpoint's filter is not asked.
 * Throws a 409 while the endpoint is inactive, and when the payload is gone; a 429 beyond 60 by hand a minute.
 */
export async function redeliver(
	ctx: Pick<Context, "transaction">,
	input: Input,
): Promise<DeliveryWithPayload> {
	const { organizationId, endpointId, actor } = input;
	return ctx.transaction(async (tx) => {
		const earlier = await getDelivery(tx, input);
		const endpoint = await tx.stores.endpoints.keep(endpointId);
		if (!endpoint) throw notFound("webhook endpoint");
		if (!endpoint.isActive) throw endpointInactive();
		if (earlier.payload === null) throw payloadGone();
		const waitMs = await tx.stores.deliveriesByHand.take(endpoint);
		if (waitMs !== null) throw tooManyByHand(waitMs);
		const id = await tx.stores.deliveries.insert({
			organizationId,
			endpointId,
			eventId: earlier.eventId,
			eventType: earlier.eventType,
			origin: "redelivery",
			maxAttempts: tx.config.webhook.retryScheduleSeconds.length,
			createdAt: tx.clock.now(),
		});
		const metadata = { endpoint_id: endpointId, delivery_id: id, of: earlier.id };
		await recordAudit(tx, { organizationId, action: "delivery.redelivered", actor, metadata });
		tx.wakeDeliveries([endpointId]);
		const delivery = await tx.stores.deliveries.find(organizationId, id);
		if (!delivery) throw notFound("delivery");
		return delivery;
	});
}
