import { type Static, Type } from "@sinclair/typebox";
import { eventTypeLengthMax, eventTypePattern } from "../events/event-types.ts";
import { ListQuery, nextCursor, nullable, Timestamp } from "../http/wire.ts";
import type { Attempt, Delivery } from "./delivery.ts";
import type { DeliveryWithPayload } from "./store.ts";

const deliveryFields = {
	id: Type.String(),
	organization_id: Type.String(),
	endpoint_id: Type.String(),
	event_id: Type.String(),
	event_type: Type.String(),
	state: Type.String({ enum: ["pending", "delivered", "failed"] }),
	attempts: Type.Integer(),
	max_attempts: Type.Integer(),
	next_attempt_at: nullable(Timestamp),
	response_status: nullable(Type.Integer()),
	error_code: nullable(Type.String()),
	last_error: nullable(Type.String()),
	delivered_at: nullable(Timestamp),
	created_at: Timestamp,
	updated_at: Timestamp,
};

/** A delivery below its event, which has the payload. */
export const DeliverySummaryWire = Type.Object(deliveryFields);

export const DeliveryWire = Type.Object({
	...deliveryFields,
	payload: Type.Unknown({
		description:
			"The envelope, byte for byte as it was sent; null once the event was erased or outlived its retention.",
	}),
});

export const DeliveriesWire = Type.Object({ deliveries: Type.Array(DeliveryWire), next_cursor: nextCursor });

export function toDeliverySummaryWire(delivery: Delivery): Static<typeof DeliverySummaryWire> {
	return {
		id: delivery.id,
		organization_id: delivery.organizationId,
		endpoint_id: delivery.endpointId,
		event_id: delivery.eventId,
		event_type: delivery.eventType,
		state: delivery.state,
		attempts: delivery.attempts,
		max_attempts: delivery.maxAttempts,
		next_attempt_at: delivery.state === "pending" ? (delivery.nextAttemptAt?.toISOString() ?? null) : null,
		response_status: delivery.responseStatus,
		error_code: delivery.errorCode,
		last_error: delivery.lastError,
		delivered_at: delivery.deliveredAt?.toISOString() ?? null,
		created_at: delivery.createdAt.toISOString(),
		updated_at: delivery.updatedAt.toISOString(),
	};
}

/** JSON text with the payload's own bytes in it: parsing and writing them again could change numbers and escapes. */
export function toDeliveryJson(delivery: DeliveryWithPayload): string {
	const head = JSON.stringify(toDeliverySummaryWire(delivery)).slice(0, -1);
	return `${head},"payload":${delivery.payload ?? "null"}}`;
}

export const ListDeliveriesQuery = Type.Composite([
	ListQuery,
	Type.Object({
		state: Type.Optional(
			Type.Unsafe<Delivery["state"]>(Type.String({ enum: ["pending", "delivered", "failed"] })),
		),
		event_type: Type.Optional(Type.String({ pattern: eventTypePattern, maxLength: eventTypeLengthMax })),
		since: Type.Optional(Type.String({ maxLength: 40, description: "RFC 3339; created at or after." })),
		until: Type.Optional(Type.String({ maxLength: 40, description: "RFC 3339; created before." })),
	}),
]);

const AttemptWire = Type.Object({
	id: Type.String(),
	number: Type.Integer(),
	at: Timestamp,
	response_status: nullable(Type.Integer()),
	duration_ms: Type.Integer(),
	error_code: nullable(Type.String()),
	error: nullable(Type.String()),
	response_headers: Type.Unsafe<[string, string][] | null>({
		type: ["array", "null"],
		items: { type: "array", items: { type: "string" } },
		description: "Names and values in the receiver's order.",
	}),
	response_body: nullable(Type.String()),
});

export const AttemptsWire = Type.Object({ attempts: Type.Array(AttemptWire) });

export function toAttemptWire(attempt: Attempt): Static<typeof AttemptWire> {
	return {
		id: attempt.id,
		number: attempt.number,
		at: attempt.at.toISOString(),
		response_status: attempt.responseStatus,
		duration_ms: attempt.durationMs,
		error_code: attempt.errorCode,
		error: attempt.error,
		response_headers: attempt.responseHeaders,
		response_body: attempt.responseBody,
	};
}
