import { createHash, createHmac } from "node:crypto";
import { equalSecrets } from "../../core/equality.ts";
import type {
	InboundEvent,
	InterpretOptions,
	TouchedUser,
	UserChange,
	WebhookHeaders,
	WebhookVerdict,
} from "../provider.ts";
import { signedMessage, verifyStandardWebhook } from "../signatures.ts";
import { redact } from "./redact.ts";
import {
	type BetterAuthDelivery,
	type BetterAuthUser,
	isBare,
	isDelivery,
	isUser,
	toExternalUser,
	toMoment,
} from "./wire.ts";

const kinds = new Map<string, UserChange["kind"]>([
	["user.created", "created"],
	["user.updated", "updated"],
	["user.deleted", "deleted"],
]);

/**
 * Two schemes. Standard Webhooks, where its headers are there: it signs a time. Else `X-Better-Auth-Signature`: hex
 * HMAC-SHA256 of the raw body under the whole secret as UTF-8. Better Auth has no scheme of its own: both are ours.
 */
export function verifyWebhook(input: {
	rawBody: Buffer;
	headers: WebhookHeaders;
	secrets: readonly string[];
	now: Date;
}): WebhookVerdict {
	if (signedMessage(input.headers) !== null) return verifyStandardWebhook(input);
	const given = input.headers["x-better-auth-signature"];
	if (typeof given !== "string" || given === "") return "missing_signature";
	// Under an empty secret anyone can sign.
	const expected = input.secrets
		.filter((secret) => secret !== "")
		.map((secret) => createHmac("sha256", secret).update(input.rawBody).digest("hex"));
	const matches = expected.map((right) => equalSecrets(given.toLowerCase(), right));
	return matches.includes(true) ? "genuine" : "bad_signature";
}

/** Reads a genuine webhook; null when it is no JSON object with a type and a user. */
export function readWebhook(
	rawBody: Buffer,
	headers: WebhookHeaders,
	options: InterpretOptions,
): InboundEvent[] | null {
	const delivery = parseDelivery(rawBody);
	const type = delivery?.event ?? delivery?.type;
	if (!delivery || !type || !userOf(delivery)) return null;
	const message = signedMessage(headers);
	return [
		{
			// Nothing else was signed by the simple scheme: the same bytes are the same event.
			providerEventId: message?.id ?? `sha256:${createHash("sha256").update(rawBody).digest("hex")}`,
			type,
			instance: null,
			// The signed header is the time of the attempt: later than the event on a retry, but better than none.
			occurredAt: ownTime(delivery) ?? toMoment(message === null ? null : Number(message.timestamp) * 1000),
			document: redact(delivery, options),
		},
	];
}

/** What a stored document means for the users table; null when it is about something else or names no user. */
export function interpret(
	event: Pick<InboundEvent, "type" | "document" | "occurredAt">,
): UserChange | TouchedUser | null {
	const kind = kinds.get(event.type);
	const { document } = event;
	if (kind === undefined || !isDelivery(document)) return null;
	const user = userOf(document);
	if (!isUser(user)) return null;
	if (kind === "deleted") {
		const version = deletionVersion(document, user) ?? event.occurredAt;
		return version === null ? null : { kind, userId: user.id, version };
	}
	const version = toMoment(user.updatedAt) ?? event.occurredAt;
	if (version === null) return null;
	return isBare(user)
		? { kind: "touched", userId: user.id, version }
		: { kind, user: toExternalUser(user), version };
}

function parseDelivery(rawBody: Buffer): BetterAuthDelivery | null {
	try {
		const json: unknown = JSON.parse(rawBody.toString("utf8"));
		return isDelivery(json) ? json : null;
	} catch {
		return null;
	}
}

function userOf({ user, data }: BetterAuthDelivery): object | null {
	return user ?? data ?? null;
}

function ownTime(delivery: BetterAuthDelivery): Date | null {
	const user = userOf(delivery);
	return toMoment(delivery.timestamp) ?? (isUser(user) ? toMoment(user.updatedAt) : null);
}

/**
 * The later of the deletion's time and the user's last change: of two servers of the application one may be slow,
 * and nothing comes after a deletion.
 */
function deletionVersion({ timestamp }: BetterAuthDelivery, user: BetterAuthUser): Date | null {
	const moments = [toMoment(timestamp), toMoment(user.updatedAt)].filter((moment) => moment !== null);
	return moments.length === 0 ? null : new Date(Math.max(...moments.map((moment) => moment.getTime())));
}
