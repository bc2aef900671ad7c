import { createHash } from "node:crypto";
import { equalSecrets } from "../../core/equality.ts";
import type {
	InboundEvent,
	InterpretOptions,
	TouchedUser,
	UserChange,
	WebhookHeaders,
	WebhookVerdict,
} from "../provider.ts";
import { meaningOfLog } from "./log-entry.ts";
import { redactLogEntry, redactObject } from "./redact.ts";
import {
	type Auth0ActionPost,
	isActionPost,
	isBare,
	isLogEntry,
	isStreamEvent,
	isUser,
	toExternalUser,
	toMoment,
} from "./wire.ts";

const kinds = new Map<string, UserChange["kind"]>([
	["user.created", "created"],
	["user.updated", "updated"],
	["user.deleted", "deleted"],
]);

/** Types of log entries are stored as `log.ss`, so that none is taken for an event's. */
const logPrefix = "log.";

/**
 * Auth0 signs nothing: the secret itself stands in `Authorization`, bare or after "Bearer", as the tenant's owner
 * entered it.
 */
export function verifyWebhook(input: {
	headers: WebhookHeaders;
	secrets: readonly string[];
}): WebhookVerdict {
	const { authorization } = input.headers;
	if (typeof authorization !== "string" || authorization === "") return "missing_signature";
	const given = [authorization, authorization.replace(/^bearer +/i, "")];
	// Under an empty secret everyone is let in.
	const matches = input.secrets
		.filter((secret) => secret !== "")
		.map((secret) => given.map((candidate) => equalSecrets(candidate, secret)).includes(true));
	return matches.includes(true) ? "genuine" : "bad_signature";
}

/**
 * The events of one request: an Event Stream sends one, a Log Stream one or many (as an array, as lines, or singly),
 * an Action what its author wrote. Null when the body is none of these; an entry that cannot be read is passed over
 * beside others that can, for a refusal would be final and lose them all.
 */
export function readWebhook(
	rawBody: Buffer,
	_headers: WebhookHeaders,
	options: InterpretOptions,
): InboundEvent[] | null {
	const items = parseItems(rawBody);
	if (items === null) return null;
	const events = items.flatMap((item) => readItem(item, options) ?? []);
	return events.length === 0 ? null : events;
}

/** What a stored document means for the users table; null when it is about something else, or a test. */
export function interpret(
	event: Pick<InboundEvent, "type" | "document" | "occurredAt">,
): UserChange | TouchedUser | null {
	const { document, type } = event;
	if (type.startsWith(logPrefix)) return isLogEntry(document) ? meaningOfLog(document) : null;
	const kind = kinds.get(type);
	if (kind === undefined || typeof document.a0purpose === "string") return null;
	const user = userOf(document);
	if (!isUser(user)) return null;
	const own = toMoment(kind === "deleted" ? user.deleted_at : user.updated_at);
	const version = own ?? event.occurredAt;
	if (version === null) return null;
	if (kind === "deleted") return { kind, userId: user.user_id, version };
	if (isBare(user)) return { kind: "touched", userId: user.user_id, version };
	return { kind, user: toExternalUser(user), version };
}

function parseItems(rawBody: Buffer): unknown[] | null {
	const text = rawBody.toString("utf8").trim();
	const whole = parse(text);
	if (Array.isArray(whole)) return whole;
	if (whole !== undefined) return [whole];
	const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
	const items = lines.map(parse);
	return items.length > 1 && items.some((item) => item !== undefined) ? items : null;
}

function readItem(item: unknown, options: InterpretOptions): InboundEvent | null {
	if (isLogEntry(item)) {
		return {
			providerEventId: item.log_id,
			type: `${logPrefix}${item.data.type}`,
			instance: item.data.tenant_name || null,
			occurredAt: toMoment(item.data.date),
			document: redactLogEntry(item),
		};
	}
	if (isStreamEvent(item)) {
		return {
			providerEventId: item.id,
			type: typeOf(item.type),
			instance: item.a0tenant || null,
			occurredAt: toMoment(item.time),
			document: redactObject(item, options),
		};
	}
	return isActionPost(item) ? readActionPost(item, options) : null;
}

/** An Action's post carries no id of its own: the same content is the same event. */
function readActionPost(post: Auth0ActionPost, options: InterpretOptions): InboundEvent | null {
	const type = post.event ?? post.type;
	const user = post.user ?? post.data;
	if (typeof type !== "string" || typeof user !== "object" || user === null) return null;
	const digest = createHash("sha256").update(JSON.stringify(post)).digest("hex");
	const updatedAt = isUser(user) ? toMoment(user.updated_at) : null;
	return {
		providerEventId: `action:${digest.slice(0, 40)}`,
		type: typeOf(type),
		instance: null,
		occurredAt: toMoment(post.time) ?? updatedAt,
		document: redactObject({ type, user }, options),
	};
}

/** The overview of the documentation still shows an older form, "com.auth0.user.created". */
function typeOf(type: string): string {
	const plain = type.replace(/^com\.auth0\./, "");
	// Nothing but a log entry may carry the name of one.
	return plain.startsWith(logPrefix) ? `other.${plain}` : plain;
}

function userOf(document: Record<string, unknown>): unknown {
	const { data, user } = document;
	if (typeof data === "object" && data !== null && "object" in data) return data.object;
	return user;
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
