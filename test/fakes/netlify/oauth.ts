import { randomBytes } from "node:crypto";
import type { Answer, NetlifyState } from "./state.ts";

/** `POST /oauth/token`, with the errors of RFC 6749 §5.2. */
export function answerToken(state: NetlifyState, form: Record<string, unknown>): Answer {
	const { clientId, clientSecret, codes, refresh } = state.oauth;
	if (form.client_id !== clientId || form.client_secret !== clientSecret)
		return oauthError(401, "invalid_client");
	if (form.grant_type === "authorization_code") {
		const code = codes.get(String(form.code));
		codes.delete(String(form.code));
		if (code === undefined || code.redirectUri !== form.redirect_uri) return oauthError(400, "invalid_grant");
		return grant(state, code.userToken);
	}
	if (form.grant_type === "refresh_token" && state.quirks.tokensExpire) {
		const userToken = refresh.get(String(form.refresh_token));
		refresh.delete(String(form.refresh_token));
		return userToken === undefined ? oauthError(400, "invalid_grant") : grant(state, userToken);
	}
	return oauthError(400, "unsupported_grant_type");
}

/** A code as the callback brings it after the owner of `userToken` agreed; good once. */
export function issueCode(state: NetlifyState, redirectUri: string, userToken: string): string {
	const code = randomBytes(24).toString("base64url");
	state.oauth.codes.set(code, { redirectUri, userToken });
	return code;
}

function grant(state: NetlifyState, userToken: string): Answer {
	const owner = state.tokens.get(userToken);
	if (owner === undefined) return oauthError(400, "invalid_grant");
	const token = `nfo_${randomBytes(24).toString("base64url")}`;
	const body = { access_token: token, token_type: "Bearer", created_at: Math.floor(Date.now() / 1000) };
	if (!state.quirks.tokensExpire) {
		state.tokens.set(token, { ...owner });
		return { status: 200, body };
	}
	const refreshToken = randomBytes(24).toString("base64url");
	state.oauth.refresh.set(refreshToken, userToken);
	const { tokenSeconds } = state.quirks;
	state.tokens.set(token, { ...owner, expiresAtMs: Date.now() + tokenSeconds * 1000 });
	return { status: 200, body: { ...body, expires_in: tokenSeconds, refresh_token: refreshToken } };
}

function oauthError(status: number, error: string): Answer {
	return { status, body: { error, error_description: "The grant was refused." } };
}
