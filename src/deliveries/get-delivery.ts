import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { DeliveryId, EndpointId, OrganizationId } from "../core/ids.ts";
import type { DeliveryWithPayload } from "./store.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; deliveryId: DeliveryId };

/** A delivery of this endpoint. Throws a 404 for one of another endpoint. */
export async function getDelivery(ctx: Pick<Context, "stores">, input: Input): Promise<DeliveryWithPayload> {
	const delivery = await ctx.stores.deliveries.find(input.organizationId, input.deliveryId);
	if (delivery?.endpointId !== input.endpointId) throw notFound("delivery");
	return delivery;
}
