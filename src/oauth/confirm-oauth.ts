import type { Context } from "../context.ts";
import type { Integration } from "../integrations/integration.ts";
import { completeOAuth } from "./complete-oauth.ts";
import { confirmationInvalid } from "./errors.ts";
import type { OAuthPlatform } from "./find-platform.ts";
import type { Granted, OAuthFlow } from "./flow.ts";
import { hashToken } from "./state.ts";

type Input = { provider: OAuthPlatform; confirmation: string };

/** Completes a flow whose grant waits to be confirmed. Throws a 400 when there is none such any more. */
export async function confirmOAuth(
	ctx: Pick<Context, "stores" | "transaction" | "vault" | "publicUrl" | "providers">,
	input: Input,
): Promise<Integration> {
	const flow = await takeHeld(ctx, input);
	const place = { row: flow.tokenHash, column: "oauth_flows.held_grant" };
	const granted: Granted = JSON.parse(ctx.vault.open(flow.heldGrant ?? "", place));
	return completeOAuth(ctx, { flow, provider: input.provider, granted });
}

/** Erases a grant that its owner does not want to be used. Throws a 400 when there is none such any more. */
export async function declineOAuth(ctx: Pick<Context, "stores">, input: Input): Promise<void> {
	await takeHeld(ctx, input);
}

async function takeHeld(ctx: Pick<Context, "stores">, { provider, confirmation }: Input): Promise<OAuthFlow> {
	const flow = await ctx.stores.oauthFlows.takeHeld(hashToken(confirmation), provider.id);
	if (!flow) throw confirmationInvalid();
	return flow;
}
