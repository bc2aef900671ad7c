import type { Context } from "../context.ts";
import type { EndpointId } from "../core/ids.ts";
import type { DeliveryFilter, DeliveryWithPayload } from "./store.ts";

/** An endpoint's deliveries, newest first; one row more than asked for. */
export function listDeliveries(
	ctx: Pick<Context, "stores">,
	input: { endpointId: EndpointId; filter: DeliveryFilter },
): Promise<DeliveryWithPayload[]> {
	return ctx.stores.deliveries.list(input.endpointId, input.filter);
}
