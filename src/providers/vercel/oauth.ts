import { ProviderError } from "../errors.ts";
import type { ProviderHttp } from "../http.ts";
import {
	callbackRefusal,
	type OAuthCallback,
	type OAuthGrant,
	type PlatformOAuth,
	requestToken,
} from "../oauth.ts";
import { ask, explained, isRefusal, provider, scopeOf, tell } from "./client.ts";
import { listTeams } from "./projects.ts";
import { isToken, isUser } from "./wire.ts";

export type VercelOAuthClient = {
	clientId: string;
	clientSecret: string;
	/** The integration's name in its URL on vercel.com. */
	slug: string;
};

const exchangePath = "/v2/oauth/access_token";

/**
 * An integration's install flow (vercel.com/docs/integrations). It knows no PKCE and no refresh: the token lasts until
 * the integration is removed from the account. `origin` is that of vercel.com, where the user is sent.
 */
export function createVercelOAuth(
	http: ProviderHttp,
	client: VercelOAuthClient,
	origin: string,
): PlatformOAuth {
	return {
		usesPkce: false,
		authorizeUrl({ state }) {
			const url = new URL(`/integrations/${encodeURIComponent(client.slug)}/new`, origin);
			url.searchParams.set("state", state);
			return url.href;
		},
		readCallback,
		exchangeCode: (input) => exchangeCode(http, client, input),
		nameAccount: (grant) => nameAccount(http, grant),
		refresh: null,
		revoke: (grant) => revoke(http, grant),
	};
}

function readCallback(query: Record<string, unknown>): OAuthCallback | null {
	const { code, error } = query;
	if (typeof error === "string" && error !== "") return { kind: "refused", reason: callbackRefusal(error) };
	if (typeof code !== "string" || code === "") return null;
	return { kind: "granted", code, installationId: text(query.configurationId), teamId: text(query.teamId) };
}

async function exchangeCode(
	http: ProviderHttp,
	client: VercelOAuthClient,
	{ callback, redirectUri, signal }: Parameters<PlatformOAuth["exchangeCode"]>[0],
): Promise<OAuthGrant> {
	const form = {
		client_id: client.clientId,
		client_secret: client.clientSecret,
		code: callback.code,
		redirect_uri: redirectUri,
	};
	const { json } = await requestToken(http, { path: exchangePath, form, ...(signal ? { signal } : {}) });
	if (!isToken(json)) {
		throw new ProviderError("unexpected_answer", "Vercel gave no token for the authorization.", { provider });
	}
	const grant: OAuthGrant = {
		credentials: { token: json.access_token },
		expiresAt: null,
		teamId: json.team_id ?? null,
		installationId: json.installation_id ?? callback.installationId,
	};
	await checkInstallation(http, grant, callback.installationId, signal);
	return grant;
}

/** The browser brought `configurationId`: it counts only if the token that the code gave is of that installation. */
async function checkInstallation(
	http: ProviderHttp,
	grant: OAuthGrant,
	claimed: string | null,
	signal: AbortSignal | undefined,
): Promise<void> {
	const { installationId, credentials, teamId } = grant;
	const sentence = "The installation in the callback is not the one that Vercel granted.";
	if (claimed !== null && installationId !== claimed) {
		throw new ProviderError("invalid_grant", sentence, { provider });
	}
	if (installationId === null) return;
	const call = {
		path: `/v1/integrations/configuration/${encodeURIComponent(installationId)}`,
		query: scopeOf(teamId),
	};
	try {
		await tell(http, { credentials, ...(signal ? { signal } : {}) }, call);
	} catch (error) {
		if (isRefusal(error, "not_found", "forbidden")) throw explained(error, sentence, "invalid_grant");
		throw error;
	}
}

/** A token of a team may not be allowed to read its user, nor the names of teams: then the id has to do. */
async function nameAccount(
	http: ProviderHttp,
	{ teamId, ...access }: Parameters<PlatformOAuth["nameAccount"]>[0],
): Promise<string> {
	if (teamId !== null) {
		const teams = await listTeams(http, access);
		return teams?.find(({ id }) => id === teamId)?.name ?? teamId;
	}
	const { user } = await ask(http, access, { path: "/v2/user" }, isUser);
	return user.username ?? user.email ?? "a personal account";
}

/** Removes the installation, and its token with it. A token that is dead already cannot be told from one refused. */
async function revoke(
	http: ProviderHttp,
	{ credentials, teamId, installationId }: Pick<OAuthGrant, "credentials" | "teamId" | "installationId">,
): Promise<void> {
	if (installationId === null) return;
	const path = `/v1/integrations/configuration/${encodeURIComponent(installationId)}`;
	try {
		await tell(http, { credentials }, { method: "DELETE", path, query: scopeOf(teamId) });
	} catch (error) {
		if (!isRefusal(error, "not_found", "forbidden", "unauthorized")) throw error;
	}
}

function text(value: unknown): string | null {
	return typeof value === "string" && value !== "" ? value : null;
}
