import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { DeploymentProvider } from "../providers/deployment-provider.ts";
import type { PlatformOAuth } from "../providers/oauth.ts";
import type { Provider } from "../providers/registry.ts";
import { noOAuth, oauthNotConfigured } from "./errors.ts";

export type OAuthPlatform = DeploymentProvider & { oauth: PlatformOAuth };

/** Throws a 404 for a provider that this server does not know. */
export function requireProvider(ctx: Pick<Context, "providers">, pathName: string): Provider {
	const provider = ctx.providers.find(pathName);
	if (!provider) throw notFound("provider");
	return provider;
}

/**
 * The provider that a path names, with its OAuth. Throws a 404 for one that this server does not know, a 400 for one
 * without OAuth, and a 400 that names the variables while its client is not configured.
 */
export function findPlatform(ctx: Pick<Context, "providers">, pathName: string): OAuthPlatform {
	const provider = requireProvider(ctx, pathName);
	if (provider.kind !== "deployment") throw noOAuth(provider);
	const { oauth } = provider;
	if (!oauth) throw oauthNotConfigured(provider);
	return { ...provider, oauth };
}

/** Where a platform sends the browser back to. */
export function callbackUrl(ctx: Pick<Context, "publicUrl">, { pathNames }: DeploymentProvider): string {
	return `${ctx.publicUrl()}/v1/integrations/${pathNames[0]}/oauth/callback`;
}
