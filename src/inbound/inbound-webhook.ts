import type { InboundId, IntegrationId, OrganizationId, ProjectId } from "../core/ids.ts";

/** `received` waits for its effect; `ignored` and `stale` have none. */
export type InboundState = "received" | "processed" | "ignored" | "stale" | "failed";

/** A verified webhook of a provider, as it was stored. */
export type InboundWebhook = {
	id: InboundId;
	organizationId: OrganizationId;
	projectId: ProjectId;
	integrationId: IntegrationId;
	provider: string;
	providerEventId: string;
	type: string;
	state: InboundState;
	error: string | null;
	document: Record<string, unknown>;
	bodyHash: Buffer;
	occurredAt: Date | null;
	receivedAt: Date;
	/** When its effect was last settled; a replay leaves it, so that it names the run before. */
	processedAt: Date | null;
};

/**
 * Names one run of an event: the first, or a replay. Within a run the effect and its announcement are made once,
 * however often the run is begun; a replay may have an effect of its own.
 */
export function runOf(webhook: Pick<InboundWebhook, "id" | "processedAt">): string {
	return webhook.processedAt === null ? webhook.id : `${webhook.id}@${webhook.processedAt.getTime()}`;
}

export type InboundSummary = Omit<InboundWebhook, "document" | "bodyHash">;
