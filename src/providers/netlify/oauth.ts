import { ProviderError } from "../errors.ts";
import type { ProviderHttp } from "../http.ts";
import {
	callbackRefusal,
	type OAuthCallback,
	type OAuthGrant,
	type PlatformOAuth,
	requestToken,
} from "../oauth.ts";
import { ask, provider } from "./client.ts";
import { isToken, isUser } from "./wire.ts";

export type NetlifyOAuthClient = { clientId: string; clientSecret: string };

/**
 * Netlify's authorization code flow (docs.netlify.com, "Get started with the Netlify API"): no scopes, no PKCE, and
 * no call that gives a token back. No document tells of an expiry either; where an answer does name one, with a
 * refresh token beside it, it is honoured. `origin` is that of the page where the user agrees.
 */
export function createNetlifyOAuth(
	http: ProviderHttp,
	client: NetlifyOAuthClient,
	origin: string,
): PlatformOAuth {
	return {
		usesPkce: false,
		authorizeUrl({ state, redirectUri }) {
			const url = new URL("/authorize", origin);
			url.searchParams.set("client_id", client.clientId);
			url.searchParams.set("response_type", "code");
			url.searchParams.set("redirect_uri", redirectUri);
			url.searchParams.set("state", state);
			return url.href;
		},
		readCallback,
		exchangeCode: ({ callback, redirectUri, now, signal }) =>
			obtain(http, client, now, signal, {
				grant_type: "authorization_code",
				code: callback.code,
				redirect_uri: redirectUri,
			}),
		nameAccount: (grant) => nameAccount(http, grant),
		refresh: ({ credentials, now, signal }) => refresh(http, client, credentials.refresh_token, now, signal),
		revoke: null,
	};
}

function readCallback({ code, error }: Record<string, unknown>): OAuthCallback | null {
	if (typeof error === "string" && error !== "") return { kind: "refused", reason: callbackRefusal(error) };
	if (typeof code !== "string" || code === "") return null;
	return { kind: "granted", code, installationId: null, teamId: null };
}

/** Many users share a name, none an address. */
async function nameAccount(
	http: ProviderHttp,
	access: Parameters<PlatformOAuth["nameAccount"]>[0],
): Promise<string> {
	const { email, full_name: name } = await ask(http, access, { path: "/user" }, isUser);
	return [name, email && `(${email})`].filter(Boolean).join(" ") || "an account without a name";
}

async function refresh(
	http: ProviderHttp,
	client: NetlifyOAuthClient,
	refreshToken: string | undefined,
	now: Date,
	signal: AbortSignal | undefined,
): Promise<OAuthGrant> {
	if (!refreshToken) {
		throw new ProviderError("invalid_grant", "Netlify gave no means to renew its token.", { provider });
	}
	const form = { grant_type: "refresh_token", refresh_token: refreshToken };
	const grant = await obtain(http, client, now, signal, form);
	// RFC 6749 §6: without a new refresh token the old one stays good.
	return { ...grant, credentials: { refresh_token: refreshToken, ...grant.credentials } };
}

async function obtain(
	http: ProviderHttp,
	client: NetlifyOAuthClient,
	now: Date,
	signal: AbortSignal | undefined,
	form: Record<string, string>,
): Promise<OAuthGrant> {
	const { json } = await requestToken(http, {
		path: "/oauth/token",
		form: { ...form, client_id: client.clientId, client_secret: client.clientSecret },
		...(signal === undefined ? {} : { signal }),
	});
	if (!isToken(json)) {
		throw new ProviderError("unexpected_answer", "Netlify gave no token for the authorization.", {
			provider,
		});
	}
	const { access_token: token, refresh_token: refreshToken, expires_in: seconds } = json;
	const expires = typeof seconds === "number" && seconds > 0 && seconds < 1e9;
	return {
		credentials: { token, ...(refreshToken ? { refresh_token: refreshToken } : {}) },
		expiresAt: expires ? new Date(now.getTime() + seconds * 1000) : null,
		teamId: null,
		installationId: null,
	};
}
