import type { InterpretOptions } from "../provider.ts";
import { depthMax, storable, storableText } from "../storable.ts";

/**
 * What no stored document may hold, at any depth: Better Auth's session `token`, an account's `accessToken`,
 * `refreshToken`, `idToken` and `password`, the two-factor plugin's `secret` and `backupCodes`, and what is named
 * like them; and the end user's address and browser. Matched without case, `_` and `-`: applications rename columns.
 */
const forbiddenKey =
	/(token|secret|password|passwordhash|salt|jwt|otp|otpcode|nonce|backupcode|apikey|privatekey)s?$|^(ipaddress|useragent)$/;
const privateKey = "privatemetadata";

/** A delivery, or a user, as it may be stored. The fields that its type promises are never among those removed. */
export function redact<T extends object>(object: T, options: InterpretOptions): T & Record<string, unknown> {
	return redactObject(object, options, 0) as T & Record<string, unknown>;
}

function redactObject(object: object, options: InterpretOptions, depth: number): Record<string, unknown> {
	const kept = Object.entries(object).flatMap(([key, value]): [string, unknown][] => {
		const name = key.replace(/[_-]/g, "").toLowerCase();
		if (name === privateKey && !options.includePrivateMetadata) return [];
		return forbiddenKey.test(name) ? [] : [[storableText(key), redactValue(value, options, depth + 1)]];
	});
	return Object.fromEntries(kept);
}

function redactValue(value: unknown, options: InterpretOptions, depth: number): unknown {
	if (depth > depthMax) return null;
	if (Array.isArray(value)) return value.map((item) => redactValue(item, options, depth + 1));
	if (typeof value === "object" && value !== null) return redactObject(value, options, depth);
	return storable(value);
}
