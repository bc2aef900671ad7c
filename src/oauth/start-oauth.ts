import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { getProject } from "../projects/get-project.ts";
import { callbackUrl, type OAuthPlatform } from "./find-platform.ts";
import { flowMinutes } from "./flow.ts";
import { browserKey, codeChallenge, newToken, signState } from "./state.ts";

type Input = { projectId: ProjectId; provider: OAuthPlatform; actor: Actor };

/** Begins a flow: where to send the browser, and what the browser is given to keep until it comes back. */
export async function startOAuth(
	ctx: Pick<Context, "stores" | "vault" | "publicUrl">,
	{ projectId, provider, actor }: Input,
): Promise<{ authorizeUrl: string; browserKey: string }> {
	const { organizationId } = await getProject(ctx, projectId);
	const { token: nonce, tokenHash } = newToken();
	const bound = { projectId, provider: provider.id, actorKind: actor.kind, actorId: actor.id };
	await ctx.stores.oauthFlows.insert({ ...bound, tokenHash, organizationId }, flowMinutes);
	const authorizeUrl = provider.oauth.authorizeUrl({
		state: signState(ctx.vault, nonce, bound),
		redirectUri: callbackUrl(ctx, provider),
		codeChallenge: codeChallenge(ctx.vault, nonce),
	});
	return { authorizeUrl, browserKey: browserKey(ctx.vault, nonce) };
}
