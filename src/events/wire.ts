import { type Static, Type } from "@sinclair/typebox";
import { DeliverySummaryWire } from "../deliveries/wire.ts";
import { ListQuery, nextCursor, nullable, Timestamp, text } from "../http/wire.ts";
import type { WebhookEvent } from "./event.ts";
import { type EventType, eventTypeLengthMax, eventTypePattern } from "./event-types.ts";

const EventWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	project_id: nullable(Type.String()),
	type: Type.String(),
	deliveries: Type.Integer({ description: "How many endpoints it was published to." }),
	created_at: Timestamp,
	payload: Type.Unknown({ description: "The envelope, byte for byte; null once it was erased." }),
});

export const PublishedWire = Type.Object({ event: EventWire, deliveries: Type.Integer() });
export const PublishedBatchWire = Type.Object({ events: Type.Array(EventWire), deliveries: Type.Integer() });
export const EventsWire = Type.Object({ events: Type.Array(EventWire), next_cursor: nextCursor });
export const EventWithDeliveriesWire = Type.Object({
	event: EventWire,
	deliveries: Type.Array(DeliverySummaryWire, { description: "The newest 1,000, first to last." }),
});

/** JSON text with the payload's own bytes in it. */
export function toEventJson(event: WebhookEvent): string {
	const head = JSON.stringify({
		id: event.id,
		organization_id: event.organizationId,
		project_id: event.projectId,
		type: event.type,
		deliveries: event.deliveryCount,
		created_at: event.createdAt.toISOString(),
	});
	return `${head.slice(0, -1)},"payload":${event.payload ?? "null"}}`;
}

const PublishEvent = Type.Object(
	{
		type: Type.String({ pattern: eventTypePattern, maxLength: eventTypeLengthMax }),
		data: Type.Unknown({ description: "Any JSON; its exact bytes are what receivers get." }),
		project_id: Type.Optional(nullable(Type.String({ maxLength: 64 }))),
		idempotency_key: Type.Optional(text({ minLength: 1, maxLength: 255 })),
	},
	{ additionalProperties: false },
);

const eventsInBatchMax = 500;

const PublishBatch = Type.Object(
	{ events: Type.Array(PublishEvent, { minItems: 1, maxItems: eventsInBatchMax }) },
	{ additionalProperties: false },
);

/** One event, or a batch. Told apart by `events`, so that a fault is named in the one that was meant. */
export const PublishBody = Type.Unsafe<Static<typeof PublishEvent> | Static<typeof PublishBatch>>({
	type: "object",
	if: { required: ["events"] },
	// biome-ignore lint/suspicious/noThenProperty: a JSON Schema keyword
	then: PublishBatch,
	else: PublishEvent,
});

export const ListEventsQuery = Type.Composite([
	ListQuery,
	Type.Object({
		type: Type.Optional(Type.String({ pattern: eventTypePattern, maxLength: eventTypeLengthMax })),
	}),
]);

const EventTypeWire = Type.Object({
	type: Type.String(),
	description: Type.String(),
	published_by: Type.Unsafe<EventType["publishedBy"]>(
		Type.String({
			enum: ["server", "publisher"],
			description: "Only the server sends its own types; the others are for publishers.",
		}),
	),
	schema: Type.Object({}, { additionalProperties: true, description: "JSON Schema of the envelope." }),
	example: Type.Object({}, { additionalProperties: true, description: "An envelope." }),
});

export const EventTypesWire = Type.Object({ event_types: Type.Array(EventTypeWire) });

export function toEventTypeWire(eventType: EventType): Static<typeof EventTypeWire> {
	const { type, description, publishedBy, schema, example } = eventType;
	return { type, description, published_by: publishedBy, schema, example };
}
