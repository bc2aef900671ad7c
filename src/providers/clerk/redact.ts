import { createRedaction, type KeyRule, type Redaction } from "../redaction.ts";

/** Metadata that the customer fills: kept word for word, whatever its keys are called. */
const customerFields = new Set(["public_metadata", "unsafe_metadata"]);

const privateKey = "private_metadata";

/**
 * What no stored document may hold, at any depth: tokens, the one-time values of a verification under way, and
 * `url`, which Clerk uses for invitation links that sign their holder in. Flags such as `totp_enabled` stay.
 */
const forbiddenKey =
	/(^|_)(token|jwt|secret|nonce|ticket|otp_code)$|^(access|refresh|id)_?token$|^(url|backup_codes|password|password_digest|external_verification_redirect_url)$/i;

/** The texts of mails and messages: one-time codes stand in them, and in the subject too. */
const messageFields = new Set(["body", "body_plain", "message", "subject", "data"]);

export type RedactOptions = { includePrivateMetadata: boolean };

/**
 * A webhook's envelope as it may be stored: without `event_attributes` (the end user's address and browser),
 * `private_metadata` unless asked for, tokens, and the text of messages.
 */
export function redactEvent(
	event: { type: string; data: object },
	options: RedactOptions,
): Record<string, unknown> {
	const { event_attributes: _, ...envelope } = event as Record<string, unknown>;
	const isMessage = /^(email|sms)\./.test(event.type);
	const data = isMessage ? omitMessage(event.data) : event.data;
	return redactionFor(options)({ ...envelope, data });
}

/** A user as it may be stored, by the same rules. */
export function redactUser<User extends object>(user: User, options: RedactOptions): User {
	// The fields that the type promises are never among those removed.
	return redactionFor(options)(user) as User;
}

function omitMessage(data: object): object {
	return Object.fromEntries(Object.entries(data).filter(([key]) => !messageFields.has(key)));
}

function redactionFor({ includePrivateMetadata }: RedactOptions): Redaction {
	return includePrivateMetadata ? withPrivate : withoutPrivate;
}

/** The text that a wallet signs repeats the nonce beside it. */
const signedText = (object: object) => (Object.hasOwn(object, "nonce") ? "message" : null);
const withPrivate = createRedaction((key) => (key === privateKey ? "verbatim" : ruleOf(key)), signedText);
const withoutPrivate = createRedaction((key) => (key === privateKey ? "drop" : ruleOf(key)), signedText);

function ruleOf(key: string): KeyRule {
	if (customerFields.has(key)) return "verbatim";
	return forbiddenKey.test(key) ? "drop" : "redact";
}
