import { type Static, Type } from "@sinclair/typebox";
import { JsonObject, nextCursor, nullable, Timestamp } from "../http/wire.ts";
import type { Rejections } from "../integrations/integration.ts";
import type { InboundSummary, InboundWebhook } from "./inbound-webhook.ts";

const fields = {
	id: Type.String(),
	provider: Type.String(),
	provider_event_id: Type.String({ description: "The provider's own id of the event." }),
	type: Type.String(),
	state: Type.Unsafe<InboundSummary["state"]>(
		Type.String({ enum: ["received", "processed", "ignored", "stale", "failed"] }),
	),
	error: nullable(Type.String()),
	occurred_at: nullable(Timestamp),
	received_at: Timestamp,
	processed_at: nullable(Timestamp),
};

const InboundSummaryWire = Type.Object(fields);

const RejectionsWire = Type.Object(
	{
		total: Type.Integer(),
		recent: Type.Array(Type.Object({ at: Timestamp, reason: Type.String(), address: Type.String() })),
	},
	{ description: "Webhooks that were refused: how many ever, and the last hundred, newest first." },
);

export const InboundListWire = Type.Object({
	events: Type.Array(InboundSummaryWire),
	next_cursor: nextCursor,
	rejections: RejectionsWire,
});

export const InboundWire = Type.Object({ ...fields, payload: JsonObject });

export const ReceivedWire = Type.Object({ received: Type.Literal(true) });

export function toInboundSummaryWire(webhook: InboundSummary): Static<typeof InboundSummaryWire> {
	return {
		id: webhook.id,
		provider: webhook.provider,
		provider_event_id: webhook.providerEventId,
		type: webhook.type,
		state: webhook.state,
		error: webhook.error,
		occurred_at: webhook.occurredAt?.toISOString() ?? null,
		received_at: webhook.receivedAt.toISOString(),
		processed_at: webhook.processedAt?.toISOString() ?? null,
	};
}

export function toInboundWire(webhook: InboundWebhook): Static<typeof InboundWire> {
	return { ...toInboundSummaryWire(webhook), payload: webhook.document };
}

export function toRejectionsWire({ total, recent }: Rejections): Static<typeof RejectionsWire> {
	return { total, recent };
}
