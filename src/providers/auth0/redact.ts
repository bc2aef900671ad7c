import type { InterpretOptions } from "../provider.ts";
import { depthMax, storable, storableText } from "../storable.ts";
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
export function redactObject(object: object, options: InterpretOptions, depth = 0): Record<string, unknown> {
	const kept = Object.entries(object).flatMap(([key, value]): [string, unknown][] => {
		if (key === privateKey && !options.includePrivateMetadata) return [];
		if (key === privateKey || key === userKey) return [[key, storable(value, depth + 1)]];
		return forbiddenKey.test(key) ? [] : [[storableText(key), redactValue(value, options, depth + 1)]];
	});
	return Object.fromEntries(kept);
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

function redactValue(value: unknown, options: InterpretOptions, depth: number): unknown {
	if (depth > depthMax) return null;
	if (Array.isArray(value)) return value.map((item) => redactValue(item, options, depth + 1));
	if (typeof value === "object" && value !== null) return redactObject(value, options, depth);
	return storable(value);
}
