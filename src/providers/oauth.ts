import { ProviderError } from "./errors.ts";
import type { ProviderAnswer, ProviderCall, ProviderHttp } from "./http.ts";
import type { Credentials } from "./provider.ts";

/** What an OAuth callback brought. A refusal's `reason` is from OAuth's own list (RFC 6749 §4.1.2.1) or "other". */
export type OAuthCallback =
	| { kind: "granted"; code: string; installationId: string | null; teamId: string | null }
	| { kind: "refused"; reason: string };

/** What a platform granted. `credentials` is what the other calls take. */
export type OAuthGrant = {
	credentials: Credentials;
	/** Null for a token that lasts. */
	expiresAt: Date | null;
	teamId: string | null;
	installationId: string | null;
};

export type PlatformOAuth = {
	/** Whether `codeChallenge` and `codeVerifier` (S256) have an effect. */
	usesPkce: boolean;
	/** Where the user's browser is sent. */
	authorizeUrl(input: { state: string; redirectUri: string; codeChallenge: string }): string;
	/** Reads the query of the callback; null when it is neither a grant nor a refusal. */
	readCallback(query: Record<string, unknown>): OAuthCallback | null;
	/** A code that is wrong, used or expired is `invalid_grant`, a wrong client of ours `invalid_client`. */
	exchangeCode(input: {
		callback: Extract<OAuthCallback, { kind: "granted" }>;
		redirectUri: string;
		codeVerifier: string;
		now: Date;
		signal?: AbortSignal;
	}): Promise<OAuthGrant>;
	/** Whose grant it is, in words that its owner knows: a team's or a user's name. Not to be stored. */
	nameAccount(grant: Pick<OAuthGrant, "credentials" | "teamId"> & { signal?: AbortSignal }): Promise<string>;
	/** Null where tokens last. Old credentials are dead once it has answered. */
	refresh:
		| ((input: { credentials: Credentials; now: Date; signal?: AbortSignal }) => Promise<OAuthGrant>)
		| null;
	/** Gives the grant back; one that is gone already counts as given back. Null where there is no such call. */
	revoke: ((grant: Pick<OAuthGrant, "credentials" | "teamId" | "installationId">) => Promise<void>) | null;
};

/**
 * Asks a token endpoint (RFC 6749 §5). Its refusals become `invalid_grant` (the code or refresh token) and
 * `invalid_client` (ours); `http` reads the vendor's code with `readOAuthErrorCode`.
 */
export async function requestToken(http: ProviderHttp, call: ProviderCall): Promise<ProviderAnswer> {
	try {
		return await http.request({ ...call, method: "POST" });
	} catch (error) {
		throw error instanceof ProviderError ? tokenRefusal(error) : error;
	}
}

/** `{error: "invalid_grant"}`, or the code within where a platform writes `{error: {code}}` here too. */
export function readOAuthErrorCode(json: unknown): unknown {
	if (typeof json !== "object" || json === null || !("error" in json)) return undefined;
	const { error } = json;
	return typeof error === "object" && error !== null && "code" in error ? error.code : error;
}

/** The reason in a callback's `error`, from the list of RFC 6749 §4.1.2.1; everything else is "other". */
export function callbackRefusal(error: string): string {
	return callbackErrors.has(error) ? error : "other";
}

const callbackErrors = new Set([
	"access_denied",
	"invalid_request",
	"invalid_scope",
	"server_error",
	"temporarily_unavailable",
	"unauthorized_client",
	"unsupported_response_type",
]);

function tokenRefusal(error: ProviderError): ProviderError {
	const { provider, status, vendorCode } = error;
	const details = {
		provider,
		cause: error,
		...(status === undefined ? {} : { status }),
		...(vendorCode === undefined ? {} : { vendorCode }),
	};
	if (vendorCode === "invalid_client" || vendorCode === "unauthorized_client") {
		return new ProviderError(
			"invalid_client",
			`${provider} does not know this server's OAuth client.`,
			details,
		);
	}
	const isRefused =
		error.reason === "invalid_request" || error.reason === "unauthorized" || error.reason === "forbidden";
	if (!isRefused) return error;
	const sentence = `${provider} did not take the authorization: it was used already, or it is too old.`;
	return new ProviderError("invalid_grant", sentence, details);
}
