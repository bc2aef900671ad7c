import type { NewEvent } from "../../events/event.ts";
import type { DisabledEndpoint, Exhaustion, FailedEndpoint } from "./failure-store.ts";

/** Tells that the server itself made an endpoint inactive. */
export function endpointDisabled(endpoint: DisabledEndpoint): NewEvent {
	const { reason, disabledReason } = endpoint;
	return operational(endpoint, "endpoint.disabled", { reason, disabled_reason: disabledReason });
}

/** Tells how many deliveries of an endpoint have failed for good since it was last told. */
export function deliveryExhausted(exhaustion: Exhaustion): NewEvent {
	return operational(exhaustion, "delivery.exhausted", {
		count: exhaustion.count,
		first_delivery_id: exhaustion.firstDeliveryId,
		last_delivery_id: exhaustion.lastDeliveryId,
	});
}

/** Without the endpoint's headers, which may hold what only its own receiver should know. */
function operational(endpoint: FailedEndpoint, type: string, more: Record<string, unknown>): NewEvent {
	const { organizationId, projectId, id, url, name } = endpoint;
	const data = JSON.stringify({ endpoint_id: id, url, name, ...more });
	return { organizationId, projectId, type, data, namedOnly: true };
}
