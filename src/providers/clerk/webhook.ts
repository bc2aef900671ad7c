import type { WebhookEventType } from "@clerk/backend";
import type { InboundEvent, InterpretOptions, UserChange, WebhookHeaders } from "../provider.ts";
import { signedMessage } from "../signatures.ts";
import { redactEvent } from "./redact.ts";
import { type ClerkEvent, isClerkEvent, isClerkUser, toExternalUser, toMoment } from "./wire.ts";

/** The events to tick in Clerk's dashboard; every other type is stored and means nothing for users. */
const userEventKinds = new Map<string, UserChange["kind"]>([
	["user.created", "created"],
	["user.updated", "updated"],
	["user.deleted", "deleted"],
] satisfies [WebhookEventType, UserChange["kind"]][]);

/** Reads a genuine webhook; null when it is no JSON object with `type` and `data`, or carries no id. */
export function readWebhook(
	rawBody: Buffer,
	headers: WebhookHeaders,
	options: InterpretOptions,
): InboundEvent[] | null {
	const message = signedMessage(headers);
	const event = parseEvent(rawBody);
	if (message === null || event === null) return null;
	return [
		{
			providerEventId: message.id,
			type: event.type,
			instance: event.instance_id ?? null,
			// The signed header is the time of the attempt: later than the event on a retry, but better than none.
			occurredAt: eventMoment(event.timestamp) ?? toMoment(Number(message.timestamp) * 1000),
			document: redactEvent(event, options),
		},
	];
}

/** What a stored document means for the users table; null when it is about something else or has no user id. */
export function interpret(event: Pick<InboundEvent, "type" | "document" | "occurredAt">): UserChange | null {
	const kind = userEventKinds.get(event.type);
	const { data } = event.document;
	if (kind === undefined || !isClerkUser(data)) return null;
	if (kind === "deleted") {
		const version = deletionVersion(event);
		return version === null ? null : { kind, userId: data.id, version };
	}
	const version = toMoment(data.updated_at) ?? event.occurredAt;
	return version === null ? null : { kind, user: toExternalUser(data), version };
}

function parseEvent(rawBody: Buffer): ClerkEvent | null {
	try {
		const json: unknown = JSON.parse(rawBody.toString("utf8"));
		return isClerkEvent(json) ? json : null;
	} catch {
		return null;
	}
}

/** Clerk's prose says milliseconds, every example in its specification shows seconds: both are taken. */
function eventMoment(timestamp: number | null | undefined): Date | null {
	if (typeof timestamp !== "number" || timestamp <= 0) return null;
	return toMoment(isSeconds(timestamp) ? timestamp * 1000 : timestamp);
}

/**
 * A deletion carries no time but the envelope's. Cut to the second it could lie before an update of the same
 * second, although nothing comes after a deletion: so it counts as the end of its second.
 */
function deletionVersion(event: Pick<InboundEvent, "document" | "occurredAt">): Date | null {
	const { timestamp } = event.document;
	if (event.occurredAt === null || typeof timestamp !== "number" || !isSeconds(timestamp))
		return event.occurredAt;
	return toMoment(event.occurredAt.getTime() + 999);
}

function isSeconds(timestamp: number): boolean {
	return timestamp < 1e12;
}
