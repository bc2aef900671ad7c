import type { Caller } from "./scope.ts";
import { type Answer, forbidden, newId, notFound, refusal, type State } from "./state.ts";

const codeLifeMs = 30 * 60 * 1000;

/**
 * The user agrees to install the integration: what Vercel's page then sends the browser to. `state` comes back only
 * when the flow began with one, as an installation begun in the marketplace does not.
 */
export function install(state: State, teamId: string | null, flowState: string | null, at: Date): URL {
	const { redirectUri } = state.integration;
	const installationId = newId("icfg");
	const code = newId("code").slice(5);
	state.codes.set(code, { code, teamId, installationId, redirectUri, createdAt: at.getTime() });
	const url = new URL(redirectUri);
	url.searchParams.set("code", code);
	url.searchParams.set("configurationId", installationId);
	if (teamId !== null) url.searchParams.set("teamId", teamId);
	url.searchParams.set("next", "https://vercel.com/done");
	if (flowState !== null) url.searchParams.set("state", flowState);
	return url;
}

/** `POST /v2/oauth/access_token`: form-encoded, and a code works once. */
export function exchangeCode(state: State, contentType: string, form: URLSearchParams): Answer {
	if (!contentType.startsWith("application/x-www-form-urlencoded")) {
		return { status: 400, body: { error: "invalid_request", error_description: "Wrong content type" } };
	}
	const { clientId, clientSecret } = state.integration;
	if (form.get("client_id") !== clientId || form.get("client_secret") !== clientSecret) {
		return { status: 401, body: { error: "invalid_client", error_description: "Unknown client" } };
	}
	const code = state.codes.get(form.get("code") ?? "");
	state.codes.delete(code?.code ?? "");
	const isGood =
		code !== undefined &&
		code.redirectUri === form.get("redirect_uri") &&
		Date.now() - code.createdAt < codeLifeMs;
	if (!isGood) return { status: 400, body: { error: "invalid_grant", error_description: "Invalid code" } };
	const token = newId("vca");
	const { installationId, teamId } = code;
	const ownerId = teamId ?? state.userId;
	state.tokens.set(token, {
		teamIds: teamId === null ? [] : [teamId],
		isPersonal: teamId === null,
		projectId: null,
	});
	state.installations.set(installationId, { id: installationId, ownerId, teamId, token });
	const body = {
		token_type: "Bearer",
		access_token: token,
		installation_id: installationId,
		user_id: state.userId,
		team_id: teamId,
	};
	return { status: 200, body };
}

/** Reads or removes an installation. With it its token is gone. */
export function answerInstallation(state: State, caller: Caller, method: string, id: string): Answer {
	const installation = state.installations.get(id);
	if (installation === undefined) return notFound("Configuration");
	if (installation.ownerId !== caller.accountId) return forbidden();
	if (method === "GET") return { status: 200, body: installationDocument(state, id) };
	if (method !== "DELETE") return refusal(405, "method_not_allowed", "Method not allowed");
	state.installations.delete(id);
	state.tokens.delete(installation.token);
	return { status: 204 };
}

function installationDocument(state: State, id: string) {
	const installation = state.installations.get(id);
	if (installation === undefined) throw new Error(`There is no installation ${id}.`);
	const createdAt = 1_760_000_000_000;
	return {
		id,
		integrationId: state.integration.clientId,
		ownerId: installation.ownerId,
		slug: state.integration.slug,
		teamId: installation.teamId,
		userId: state.userId,
		scopes: ["read-write:project-env-vars", "read:project", "read:deployment"],
		source: "external",
		type: "integration-configuration",
		createdAt,
		updatedAt: createdAt,
	};
}
