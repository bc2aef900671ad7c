import type { Context } from "../../context.ts";
import type { DeploymentProvider } from "../../providers/deployment-provider.ts";
import type { OAuthGrant } from "../../providers/oauth.ts";
import type { Credentials } from "../../providers/provider.ts";
import { integrationGone } from "../errors.ts";
import type { Integration } from "../integration.ts";
import { openCredentials, sealCredentials } from "../integration-secrets.ts";
import { whileAlone } from "./while-alone.ts";

/** Longer than any work that is begun with a token. */
const renewBeforeMs = 5 * 60_000;

/**
 * The credentials of an integration. A token that expires is renewed shortly before, once, whoever asks on whatever
 * replica: the platform takes a refresh token once. Throws a ProviderError when the platform does not renew it, and a
 * 503 when another is at it for too long.
 */
export async function freshCredentials(
	ctx: Pick<Context, "stores" | "vault" | "clock" | "log">,
	integration: Integration,
	{ oauth }: Pick<DeploymentProvider, "oauth">,
): Promise<Credentials> {
	const stored = openCredentials(ctx.vault, integration);
	const refresh = oauth?.refresh;
	if (!refresh || !isDue(ctx, stored)) return stored;
	const place = { ...integration, provider: `${integration.provider}/token` };
	// Nothing may interrupt it: once the platform has answered, the old token is dead.
	return whileAlone(ctx, place, {}, async () => {
		const current = await ctx.stores.integrations.find(integration.id);
		if (!current) throw integrationGone();
		const credentials = openCredentials(ctx.vault, current);
		if (!isDue(ctx, credentials)) return credentials;
		const renewed = keptCredentials(await refresh({ credentials, now: ctx.clock.now() }));
		await keep(ctx, current, renewed);
		return renewed;
	});
}

/** Unless others were given meanwhile. The former may have been sealed with another key meanwhile: they stay the former. */
async function keep(
	ctx: Pick<Context, "stores" | "vault">,
	former: Integration,
	renewed: Credentials,
): Promise<void> {
	const { token } = openCredentials(ctx.vault, former);
	let current: Integration | null = former;
	while (current && openCredentials(ctx.vault, current).token === token) {
		const sealed = sealCredentials(ctx.vault, current, renewed);
		if (await ctx.stores.integrations.renewCredentials(current, sealed)) return;
		current = await ctx.stores.integrations.find(current.id);
	}
}

/** A grant as an integration keeps it: with `expires_at`, RFC 3339, where its token does not last. */
export function keptCredentials({ credentials, expiresAt }: OAuthGrant): Credentials {
	return expiresAt === null ? credentials : { ...credentials, expires_at: expiresAt.toISOString() };
}

function isDue({ clock }: Pick<Context, "clock">, { expires_at: expiresAt }: Credentials): boolean {
	return expiresAt !== undefined && Date.parse(expiresAt) - renewBeforeMs <= clock.now().getTime();
}
