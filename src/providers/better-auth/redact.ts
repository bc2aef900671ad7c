import type { InterpretOptions } from "../provider.ts";
import { createRedaction, type KeyRule } from "../redaction.ts";

/**
 * What no stored document may hold, at any depth: Better Auth's session `token`, an account's `accessToken`,
 * `refreshToken`, `idToken` and `password`, the two-factor plugin's `secret` and `backupCodes`, and what is named
 * like them; and the end user's address and browser. Matched without case, `_` and `-`: applications rename columns.
 */
const forbiddenKey =
	/(token|secret|password|passwordhash|salt|jwt|otp|otpcode|nonce|backupcode|apikey|privatekey)s?$|^(ipaddress|useragent)$/;
const privateKey = "privatemetadata";

/** A delivery, or a user, as it may be stored. The fields that its type promises are never among those removed. */
export function redact<T extends object>(
	object: T,
	{ includePrivateMetadata }: InterpretOptions,
): T & Record<string, unknown> {
	return (includePrivateMetadata ? withPrivate : withoutPrivate)(object) as T & Record<string, unknown>;
}

const withPrivate = createRedaction((key) => ruleOf(key, true));
const withoutPrivate = createRedaction((key) => ruleOf(key, false));

function ruleOf(key: string, includePrivateMetadata: boolean): KeyRule {
	const name = key.replace(/[_-]/g, "").toLowerCase();
	if (name === privateKey && !includePrivateMetadata) return "drop";
	return forbiddenKey.test(name) ? "drop" : "redact";
}
