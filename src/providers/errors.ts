/** Why a provider did not do what we asked, from a closed list. A vendor's own text never travels with it. */
export type ProviderErrorReason =
	| "unauthorized"
	| "forbidden"
	| "not_found"
	| "invalid_request"
	| "invalid_grant"
	| "invalid_client"
	| "limit_reached"
	| "rate_limited"
	| "unavailable"
	| "unexpected_answer";

type ProviderErrorDetails = {
	/** Display name, as in "Clerk". */
	provider: string;
	status?: number;
	/** The vendor's machine-readable code, cut to 100 characters of `[A-Za-z0-9_.-]`. */
	vendorCode?: string;
	retryAfterSeconds?: number;
	cause?: unknown;
};

/** A call to a provider that failed in a way we expect. `message` is our own sentence. */
export class ProviderError extends Error {
	readonly reason: ProviderErrorReason;
	readonly provider: string;
	readonly status: number | undefined;
	readonly vendorCode: string | undefined;
	readonly retryAfterSeconds: number | undefined;

	constructor(reason: ProviderErrorReason, sentence: string, details: ProviderErrorDetails) {
		super(sentence, details.cause === undefined ? undefined : { cause: details.cause });
		this.name = "ProviderError";
		this.reason = reason;
		this.provider = details.provider;
		this.status = details.status;
		this.vendorCode = details.vendorCode;
		this.retryAfterSeconds = details.retryAfterSeconds;
	}
}
