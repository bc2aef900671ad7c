import type { PlatformAccess } from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import { createProviderHttp, type ProviderCall, type ProviderHttp } from "../http.ts";
import { readOAuthErrorCode } from "../oauth.ts";

export const provider = "Vercel";

/** Vercel's REST API. Refusals read `{error: {code, message}}`, those of the token endpoint `{error}`. */
export function createVercelHttp(origin: string): ProviderHttp {
	return createProviderHttp({ provider, origin, credential: "token", readVendorCode: readOAuthErrorCode });
}

/** The scope of a call: `teamId`, or `slug` when the user gave the team's name; neither in a personal account. */
export function scopeOf(teamId: string | null): { teamId?: string; slug?: string } {
	if (teamId === null) return {};
	return teamId.startsWith("team_") ? { teamId } : { slug: teamId };
}

type Caller = Pick<PlatformAccess, "credentials" | "signal">;

/** The answer to a call with the integration's token, as far as `accepts` knows it. */
export async function ask<T>(
	http: ProviderHttp,
	access: Caller,
	call: ProviderCall,
	accepts: (json: unknown) => json is T,
): Promise<T> {
	const { json } = await http.request(authorized(access, call));
	if (!accepts(json))
		throw new ProviderError("unexpected_answer", `${provider} gave an answer that we cannot read.`, {
			provider,
		});
	return json;
}

/** The same where nothing in the answer matters. */
export async function tell(http: ProviderHttp, access: Caller, call: ProviderCall): Promise<void> {
	await http.request(authorized(access, call));
}

export function isRefusal(error: unknown, ...reasons: ProviderError["reason"][]): error is ProviderError {
	return error instanceof ProviderError && reasons.includes(error.reason);
}

/** The same failure in words that fit what was tried. */
export function explained(
	error: ProviderError,
	sentence: string,
	reason: ProviderError["reason"] = error.reason,
): ProviderError {
	return new ProviderError(reason, sentence, {
		provider,
		cause: error,
		...(error.status === undefined ? {} : { status: error.status }),
		...(error.vendorCode === undefined ? {} : { vendorCode: error.vendorCode }),
	});
}

function authorized({ credentials, signal }: Caller, call: ProviderCall): ProviderCall {
	const { token } = credentials;
	if (!token)
		throw new ProviderError("unauthorized", `There is no ${provider} token to ask with.`, { provider });
	return {
		...call,
		headers: { authorization: `Bearer ${token}` },
		...(signal === undefined ? {} : { signal }),
	};
}
