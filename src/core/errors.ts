/** The closed list of ways a request can fail. `http/error-handler.ts` alone turns a kind into a status. */
export type ErrorKind =
	| "invalid"
	| "unauthenticated"
	| "forbidden"
	| "not_found"
	| "method_not_allowed"
	| "conflict"
	| "too_large"
	| "unsupported"
	| "rate_limited"
	| "refused_upstream"
	| "upstream"
	| "unavailable"
	| "internal";

type ErrorOptions = { cause?: unknown; retryAfterSeconds?: number };

/**
 * An expected failure of an operation. `message` is a sentence for the caller; `code` is `noun.reason` and
 * stable; `cause` is for the log and never leaves the server.
 */
export class AppError extends Error {
	readonly kind: ErrorKind;
	readonly code: string;
	readonly retryAfterSeconds: number | undefined;

	constructor(kind: ErrorKind, code: string, message: string, options: ErrorOptions = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "AppError";
		this.kind = kind;
		this.code = code;
		this.retryAfterSeconds = options.retryAfterSeconds;
	}
}

/** A 400 that names the field which is wrong. */
export function invalid(field: string, sentence: string): AppError {
	const noun = field.replace(/[^A-Za-z0-9_]+/g, "_").slice(0, 60) || "field";
	return new AppError("invalid", `${noun}.invalid`, sentence);
}

/** A 404 that says no more than that the caller cannot see such a thing. */
export function notFound(noun: string): AppError {
	return new AppError(
		"not_found",
		`${noun.toLowerCase().replaceAll(" ", "_")}.not_found`,
		`No such ${noun}.`,
	);
}

/** A 503 for want of capacity; nothing was done. */
export function overloaded(retryAfterSeconds = 2): AppError {
	const sentence = "The server has more to do than it can just now; try again shortly.";
	return new AppError("unavailable", "server.overloaded", sentence, { retryAfterSeconds });
}
