import { type Static, Type } from "@sinclair/typebox";
import { eventTypeFilterPattern, eventTypeLengthMax } from "../events/event-types.ts";
import { nextCursor, nullable, Timestamp, text } from "../http/wire.ts";
import { type EndpointHealth, type EndpointInput, healthWord, type WebhookEndpoint } from "./endpoint.ts";

export const EndpointWire = Type.Object({
	id: Type.String(),
	organization_id: Type.String(),
	project_id: nullable(Type.String()),
	url: Type.String(),
	name: nullable(Type.String()),
	description: nullable(Type.String()),
	event_types: Type.Array(Type.String()),
	headers: Type.Record(Type.String(), Type.String()),
	secret_headers: Type.Array(Type.String(), { description: "Names only; the values are write-only." }),
	is_active: Type.Boolean(),
	disabled_reason: nullable(Type.String()),
	health: Type.String({ enum: ["healthy", "degraded", "failing", "disabled"] }),
	created_at: Timestamp,
	updated_at: Timestamp,
});

export const EndpointsWire = Type.Object({
	webhook_endpoints: Type.Array(EndpointWire),
	next_cursor: nextCursor,
});

export function toEndpointWire(
	{ endpoint, health }: { endpoint: WebhookEndpoint; health: EndpointHealth },
	now: Date,
): Static<typeof EndpointWire> {
	return {
		id: endpoint.id,
		organization_id: endpoint.organizationId,
		project_id: endpoint.projectId,
		url: endpoint.url,
		name: endpoint.name,
		description: endpoint.description,
		event_types: endpoint.eventTypes,
		headers: endpoint.headers,
		secret_headers: endpoint.secretHeaderNames,
		is_active: endpoint.isActive,
		disabled_reason: endpoint.disabledReason,
		health: healthWord(endpoint, health, now),
		created_at: endpoint.createdAt.toISOString(),
		updated_at: endpoint.updatedAt.toISOString(),
	};
}

const fields = {
	name: Type.Optional(nullable(text({ maxLength: 100 }))),
	description: Type.Optional(nullable(text({ maxLength: 1_000 }))),
	event_types: Type.Optional(
		Type.Array(Type.String({ maxLength: eventTypeLengthMax, pattern: eventTypeFilterPattern }), {
			maxItems: 200,
		}),
	),
	headers: Type.Optional(Type.Record(Type.String(), Type.String())),
	secret_headers: Type.Optional(Type.Record(Type.String(), Type.String())),
	project_id: Type.Optional(nullable(Type.String({ maxLength: 64 }))),
	is_active: Type.Optional(Type.Boolean()),
};

export const CreateEndpointBody = Type.Object(
	{ url: Type.String({ minLength: 1, maxLength: 2_048 }), ...fields },
	{ additionalProperties: false },
);

export const UpdateEndpointBody = Type.Object(
	{ url: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })), ...fields },
	{ additionalProperties: false },
);

export function fromEndpointBody(body: Static<typeof UpdateEndpointBody>): EndpointInput {
	return {
		...(body.url === undefined ? {} : { url: body.url }),
		...(body.name === undefined ? {} : { name: emptyToNull(body.name) }),
		...(body.description === undefined ? {} : { description: emptyToNull(body.description) }),
		...(body.event_types === undefined ? {} : { eventTypes: body.event_types }),
		...(body.headers === undefined ? {} : { headers: body.headers }),
		...(body.secret_headers === undefined ? {} : { secretHeaders: body.secret_headers }),
		...(body.project_id === undefined ? {} : { projectId: body.project_id }),
		...(body.is_active === undefined ? {} : { isActive: body.is_active }),
	};
}

export const RotateSecretBody = Type.Object(
	{ grace_hours: Type.Optional(Type.Number({ minimum: 0, maximum: 168 })) },
	{ additionalProperties: false },
);

function emptyToNull(value: string | null): string | null {
	return value === "" ? null : value;
}
