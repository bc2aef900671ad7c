import type { Context } from "../context.ts";
import { atProvider } from "../integrations/at-provider.ts";
import type { Integration } from "../integrations/integration.ts";
import { keptCredentials } from "../integrations/platforms/fresh-credentials.ts";
import { getOrganization } from "../organizations/get-organization.ts";
import { getProject } from "../projects/get-project.ts";
import type { OAuthCallback } from "../providers/oauth.ts";
import { completeOAuth } from "./complete-oauth.ts";
import {
	callbackUnreadable,
	refusedAtProvider,
	stateExpired,
	stateInvalid,
	stateMissing,
	stateUsed,
} from "./errors.ts";
import { callbackUrl, type OAuthPlatform } from "./find-platform.ts";
import { flowMinutes, type Granted, type OAuthFlow } from "./flow.ts";
import {
	type Begun,
	codeVerifier,
	hashToken,
	isBrowserKey,
	newToken,
	readState,
	signingKeyOf,
} from "./state.ts";

type Parts = Pick<Context, "stores" | "transaction" | "vault" | "publicUrl" | "providers" | "clock">;

type Input = {
	provider: OAuthPlatform;
	query: Record<string, unknown>;
	/** What the browser was given when the flow began; undefined when it brings nothing. */
	browserKey: string | undefined;
};

export type CallbackOutcome =
	| { kind: "completed"; integration: Integration }
	/** The browser is not the one that began the flow: its person has to see what is connected with what. */
	| { kind: "unconfirmed"; confirmation: string; organization: string; project: string; account: string }
	/** An installation that began at the platform: there is nothing to bind it to. */
	| { kind: "began_elsewhere" };

/**
 * Takes what a platform sends the browser back with. The state counts once, whatever comes of it. Throws a 400 for a
 * state that is forged, used or expired and for what the platform refuses, a 502 when the platform is down.
 */
export async function receiveCallback(ctx: Parts, input: Input): Promise<CallbackOutcome> {
	const { provider, query } = input;
	const callback = provider.oauth.readCallback(query);
	if (query.state === undefined || query.state === "") {
		if (callback?.kind === "granted" && callback.installationId !== null) return { kind: "began_elsewhere" };
		throw stateMissing();
	}
	const { flow, begun } = await findFlow(ctx, provider, query.state);
	if (callback === null) throw callbackUnreadable(provider);
	if (!(await ctx.stores.oauthFlows.use(flow.tokenHash))) throw stateUsed();
	if (callback.kind === "refused") throw refusedAtProvider(provider, callback.reason);
	const granted = await exchange(ctx, provider, { callback, begun });
	if (isBrowserKey(ctx.vault, begun, input.browserKey)) {
		return { kind: "completed", integration: await completeOAuth(ctx, { flow, provider, granted }) };
	}
	return hold(ctx, provider, flow, granted);
}

/** The flow of a state that may still be used. Throws a 400 that says what is wrong with it. */
async function findFlow(
	ctx: Pick<Context, "stores" | "vault">,
	provider: OAuthPlatform,
	given: unknown,
): Promise<{ flow: OAuthFlow; begun: Begun }> {
	const state = typeof given === "string" ? readState(given) : null;
	const seen = state && (await ctx.stores.oauthFlows.find(hashToken(state.nonce)));
	const keyId = seen && signingKeyOf(ctx.vault, state, seen.flow);
	const isOurs = keyId && seen.flow.provider === provider.id;
	if (!isOurs) throw stateInvalid();
	if (seen.flow.usedAt !== null) throw stateUsed();
	if (seen.isExpired) throw stateExpired();
	return { flow: seen.flow, begun: { nonce: state.nonce, keyId } };
}

type Code = { callback: Extract<OAuthCallback, { kind: "granted" }>; begun: Begun };

async function exchange(
	ctx: Pick<Context, "vault" | "publicUrl" | "clock">,
	provider: OAuthPlatform,
	{ callback, begun }: Code,
): Promise<Granted> {
	const grant = await atProvider(() =>
		provider.oauth.exchangeCode({
			callback,
			redirectUri: callbackUrl(ctx, provider),
			codeVerifier: codeVerifier(ctx.vault, begun),
			now: ctx.clock.now(),
		}),
	);
	// An installation is for one account, a team's or the personal one; other grants are for all of their user's.
	const teamId = grant.installationId === null ? undefined : grant.teamId;
	return { credentials: keptCredentials(grant), teamId };
}

/** Keeps the grant sealed for as long as a state lives, and says what a person is to be asked. */
async function hold(
	ctx: Pick<Context, "stores" | "vault">,
	provider: OAuthPlatform,
	flow: OAuthFlow,
	granted: Granted,
): Promise<CallbackOutcome> {
	const { credentials, teamId = null } = granted;
	const account = await atProvider(() => provider.oauth.nameAccount({ credentials, teamId }));
	const project = await getProject(ctx, flow.projectId);
	const organization = await getOrganization(ctx, flow.organizationId);
	const { token: confirmation, tokenHash } = newToken();
	const { organizationId, projectId, actorKind, actorId } = flow;
	const held = ctx.vault.seal(JSON.stringify(granted), { row: tokenHash, column: "oauth_flows.held_grant" });
	await ctx.stores.oauthFlows.hold(
		{ tokenHash, organizationId, projectId, provider: provider.id, actorKind, actorId },
		held,
		flowMinutes,
	);
	return {
		kind: "unconfirmed",
		confirmation,
		organization: organization.name,
		project: project.name,
		account,
	};
}
