import type { InterpretOptions } from "../provider.ts";
import { createRedaction, type KeyRule } from "../redaction.ts";
import type { Auth0LogEntry } from "./wire.ts";

/**
 * Tokens of the identity providers behind a user lie in `identities[]`; nothing else named like this is kept either.
 * The end user's address, browser and place stand in `context.request` of an event.
 */
const forbiddenKey =
	/(^|_)(token|secret|password|jwt|ticket|otp)$|^(access|refresh|id)_?token|password_?hash|^(multifactor|mfa)_.*secret|^(last_)?ip$|^user_agent$|^geo$/i;
/** Only the customer's own code writes it, so that it may hold what the user must not see. */
const privateKey = "app_metadata";
/** What the users write themselves: kept word for word, whatever its keys are called. */
const userKey = "user_metadata";

/** A user, or an event that holds one, as it may be stored. */
export function redactObject(
	object: object,
	{ includePrivateMetadata }: InterpretOptions,
): Record<string, unknown> {
	return (includePrivateMetadata ? withPrivate : withoutPrivate)(object);
}

const withPrivate = createRedaction((key) => (key === privateKey ? "verbatim" : ruleOf(key)));
const withoutPrivate = createRedaction((key) => (key === privateKey ? "drop" : ruleOf(key)));

function ruleOf(key: string): KeyRule {
	if (key === userKey) return "verbatim";
	return forbiddenKey.test(key) ? "drop" : "redact";
}

/** A log entry as it may be stored: without the end user's name, address and browser, and what an API call carried. */
export function redactLogEntry({ log_id, data }: Auth0LogEntry): Record<string, unknown> {
	const { type, date, user_id, tenant_name, details } = data;
	return redactObject(
		{ log_id, data: { type, date, user_id, tenant_name, details: callOf(details) } },
		{
			includePrivateMetadata: false,
		},
	);
}

function callOf(details: unknown): object | undefined {
	const request = part(details, "request");
	if (request === undefined) return undefined;
	const response = part(details, "response");
	const body = part(response, "body");
	return {
		request: pick(request, ["method", "path"]),
		...(response === undefined
			? {}
			: {
					response: { ...pick(response, ["statusCode"]), ...(body ? { body: pick(body, ["user_id"]) } : {}) },
				}),
	};
}

function part(object: unknown, key: string): object | undefined {
	if (typeof object !== "object" || object === null || !Object.hasOwn(object, key)) return undefined;
	const value = (object as Record<string, unknown>)[key];
	return typeof value === "object" && value !== null ? value : undefined;
}

function pick(object: object, keys: readonly string[]): object {
	return Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
}
