import type { AttemptId, DeliveryId, EndpointId, EventId, OrganizationId } from "../core/ids.ts";

export type DeliveryState = "pending" | "delivered" | "failed";

/** Why it exists: an event was published, or a person asked for it. */
export type DeliveryOrigin = "event" | "test" | "redelivery" | "replay";

export type Delivery = {
	id: DeliveryId;
	organizationId: OrganizationId;
	endpointId: EndpointId;
	eventId: EventId;
	eventType: string;
	origin: DeliveryOrigin;
	state: DeliveryState;
	attempts: number;
	maxAttempts: number;
	nextAttemptAt: Date | null;
	responseStatus: number | null;
	errorCode: string | null;
	lastError: string | null;
	deliveredAt: Date | null;
	createdAt: Date;
	updatedAt: Date;
};

/** One request that was made, or `unknown` when the process died over it. */
export type Attempt = {
	id: AttemptId;
	organizationId: OrganizationId;
	endpointId: EndpointId;
	deliveryId: DeliveryId;
	number: number;
	at: Date;
	durationMs: number;
	responseStatus: number | null;
	errorCode: string | null;
	error: string | null;
	/** In the receiver's order; a name may come more than once. */
	responseHeaders: [name: string, value: string][] | null;
	responseBody: string | null;
};
