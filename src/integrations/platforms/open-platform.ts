import type { Context } from "../../context.ts";
import type { IntegrationId } from "../../core/ids.ts";
import type { DeploymentProvider, PlatformAccess } from "../../providers/deployment-provider.ts";
import type { Credentials } from "../../providers/provider.ts";
import { integrationDisabled, integrationGone } from "../errors.ts";
import type { Integration } from "../integration.ts";
import { targetMissing, tokenMissing } from "./errors.ts";
import { freshCredentials } from "./fresh-credentials.ts";

/** An integration with a deployment platform, and what the platform is called with. */
export type Platform = { integration: Integration; provider: DeploymentProvider; access: PlatformAccess };

type Parts = Pick<Context, "stores" | "vault" | "providers" | "clock" | "log">;

/**
 * Reads an integration that is to be worked with. Throws a 409 when it is disconnected or disabled, and a 400 while
 * it has no token or names no target.
 */
export async function openPlatform(ctx: Parts, id: IntegrationId, signal?: AbortSignal): Promise<Platform> {
	const integration = await ctx.stores.integrations.find(id);
	if (!integration || integration.deletedAt) throw integrationGone();
	if (integration.state === "disabled") throw integrationDisabled();
	const provider = deploymentProviderOf(ctx, integration);
	if (!provider) throw integrationGone();
	return { integration, provider, access: await accessOf(ctx, integration, provider, signal) };
}

/** The platform of an integration; null for one with an auth provider. */
export function deploymentProviderOf(
	ctx: Pick<Context, "providers">,
	{ provider }: Pick<Integration, "provider">,
): DeploymentProvider | null {
	return ctx.providers.deployment.find(({ id }) => id === provider) ?? null;
}

/** Throws a 400 while there is no token or no target. */
export async function accessOf(
	ctx: Parts,
	integration: Integration,
	provider: DeploymentProvider,
	signal?: AbortSignal,
): Promise<PlatformAccess> {
	const credentials = await platformCredentials(ctx, integration, provider);
	if (integration.externalId === null) throw targetMissing(provider);
	const target = { id: integration.externalId, teamId: integration.status.targetTeamId ?? null };
	return { credentials, target, ...(signal === undefined ? {} : { signal }) };
}

/** What every call to the platform authenticates with. Throws a 400 when nothing is stored. */
export async function platformCredentials(
	ctx: Parts,
	integration: Integration,
	provider: DeploymentProvider,
): Promise<Credentials> {
	const credentials = await freshCredentials(ctx, integration, provider);
	if (credentials.token === undefined) throw tokenMissing(provider);
	return credentials;
}
