import { AppError } from "../core/errors.ts";
import { exhaustive } from "../core/exhaustive.ts";
import type { WebhookVerdict } from "../providers/provider.ts";

const busySeconds = 5;

/** What a provider is answered whose signature does not count. */
export function signatureRefused(verdict: Exclude<WebhookVerdict, "genuine">): AppError {
	switch (verdict) {
		case "missing_signature":
			return new AppError(
				"unauthenticated",
				"webhook.missing_signature",
				"The webhook carries no signature.",
			);
		case "bad_signature":
			return new AppError(
				"unauthenticated",
				"webhook.bad_signature",
				"The webhook's signature is not right.",
			);
		case "stale":
			return new AppError(
				"unauthenticated",
				"webhook.stale",
				"The webhook was signed more than five minutes from now.",
			);
		case "malformed":
			return unreadable();
		default:
			return exhaustive(verdict);
	}
}

export function unreadable(cause?: unknown): AppError {
	const sentence = "The body is not what this provider sends.";
	return new AppError("invalid", "webhook.unreadable", sentence, cause === undefined ? {} : { cause });
}

/** Whatever it is, the provider should try again. */
export function unavailable(cause?: unknown): AppError {
	const sentence = "The webhook could not be stored just now; try again shortly.";
	return new AppError("unavailable", "webhook.unavailable", sentence, {
		...(cause === undefined ? {} : { cause }),
		retryAfterSeconds: busySeconds,
	});
}
