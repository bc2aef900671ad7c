import type { Context } from "../context.ts";
import type { DeliveryId, EndpointId, OrganizationId } from "../core/ids.ts";
import type { Attempt } from "./delivery.ts";
import { getDelivery } from "./get-delivery.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; deliveryId: DeliveryId };

/** The requests that were made for a delivery, first to last. */
export async function listAttempts(ctx: Pick<Context, "stores">, input: Input): Promise<Attempt[]> {
	const delivery = await getDelivery(ctx, input);
	return ctx.stores.deliveries.listAttempts(delivery.id);
}
