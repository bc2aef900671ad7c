import type { PlatformAccess } from "../deployment-provider.ts";
import { ProviderError } from "../errors.ts";
import { createProviderHttp, type ProviderCall, type ProviderHttp } from "../http.ts";
import { readOAuthErrorCode } from "../oauth.ts";

export const provider = "Netlify";
const basePath = "/api/v1";

/** Netlify's REST API. Its refusals repeat the status as `code`; those of the token endpoint read `{error}`. */
export function createNetlifyHttp(origin: string): ProviderHttp {
	return createProviderHttp({ provider, origin, credential: "token", readVendorCode: readOAuthErrorCode });
}

type Caller = Pick<PlatformAccess, "credentials" | "signal">;

/** The answer to a call below `/api/v1` with the integration's token, as far as `accepts` knows it. */
export async function ask<T>(
	http: ProviderHttp,
	caller: Caller,
	call: ProviderCall,
	accepts: (json: unknown) => json is T,
): Promise<T> {
	const { json } = await http.request(authorized(caller, call));
	if (!accepts(json)) {
		throw new ProviderError("unexpected_answer", "Netlify gave an answer that we cannot read.", { provider });
	}
	return json;
}

/** The same where nothing in the answer matters. */
export async function tell(http: ProviderHttp, caller: Caller, call: ProviderCall): Promise<void> {
	await http.request(authorized(caller, call));
}

export function isRefusal(error: unknown, ...reasons: ProviderError["reason"][]): error is ProviderError {
	return error instanceof ProviderError && reasons.includes(error.reason);
}

function authorized({ credentials, signal }: Caller, call: ProviderCall): ProviderCall {
	const { token } = credentials;
	if (!token) throw new ProviderError("unauthorized", "There is no Netlify token to ask with.", { provider });
	return {
		...call,
		path: `${basePath}${call.path}`,
		headers: { authorization: `Bearer ${token}` },
		...(signal === undefined ? {} : { signal }),
	};
}
