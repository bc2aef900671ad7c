import type { Context } from "../context.ts";
import type { EndpointId } from "../core/ids.ts";
import type { PayloadPage } from "../events/payload-store.ts";
import type { DeliveryFilter, DeliveryWithPayload } from "./store.ts";

/** An endpoint's deliveries, newest first. */
export function listDeliveries(
	ctx: Pick<Context, "stores">,
	input: { endpointId: EndpointId; filter: DeliveryFilter },
): Promise<PayloadPage<DeliveryWithPayload>> {
	return ctx.stores.deliveries.list(input.endpointId, input.filter);
}
