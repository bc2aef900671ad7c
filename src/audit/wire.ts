import { type Static, Type } from "@sinclair/typebox";
import { JsonObject, nextCursor, nullable, Timestamp } from "../http/wire.ts";
import type { AuditEvent } from "./store.ts";

const AuditEventWire = Type.Object({
	id: Type.String(),
	action: Type.String(),
	actor_kind: Type.String(),
	actor_id: nullable(Type.String()),
	metadata: JsonObject,
	organization_id: Type.String(),
	project_id: nullable(Type.String()),
	created_at: Timestamp,
});

export const AuditEventsWire = Type.Object({
	audit_events: Type.Array(AuditEventWire),
	next_cursor: nextCursor,
});

export function toAuditEventWire(event: AuditEvent): Static<typeof AuditEventWire> {
	return {
		id: event.id,
		action: event.action,
		actor_kind: event.actorKind,
		actor_id: event.actorId,
		metadata: event.metadata,
		organization_id: event.organizationId,
		project_id: event.projectId,
		created_at: event.createdAt.toISOString(),
	};
}
