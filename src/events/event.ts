import type { EventId, OrganizationId, ProjectId } from "../core/ids.ts";

export type WebhookEvent = {
	id: EventId;
	organizationId: OrganizationId;
	projectId: ProjectId | null;
	type: string;
	/** The envelope's exact text; null once it was erased. */
	payload: string | null;
	deliveryCount: number;
	createdAt: Date;
};

/** An event to publish. `data` is JSON text, which enters the envelope byte for byte. */
export type NewEvent = {
	organizationId: OrganizationId;
	projectId: ProjectId | null;
	type: string;
	data: string;
	idempotencyKey?: string;
	/** Goes only to endpoints that name its type. */
	namedOnly?: boolean;
};

/** The bytes that are signed and sent, on every attempt and to every endpoint. */
export function envelopeOf(event: { id: EventId; type: string; createdAt: Date; data: string }): string {
	const head = `{"id":"${event.id}","type":"${event.type}","created_at":"${event.createdAt.toISOString()}"`;
	return `${head},"data":${event.data}}`;
}
