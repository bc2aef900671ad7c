import type { Context } from "../../context.ts";
import type { PlatformTarget } from "../../providers/deployment-provider.ts";
import type { PlatformHook } from "../integration.ts";
import { hashPathToken } from "./hook-token.ts";
import { hookUrlPrefix, tokenIn } from "./hook-url.ts";
import type { Platform } from "./open-platform.ts";

/**
 * Deletes the hooks of this project at its platform that do not count any more: those of `former`, and those of a
 * registration whose answer never came, which their URL gives away. For the holder of the platform's lease. Throws a
 * ProviderError.
 */
export async function sweepHooks(
	ctx: Pick<Context, "stores" | "publicUrl">,
	platform: Platform,
	former: PlatformHook | null = null,
): Promise<number> {
	const { integration, provider, access } = platform;
	const living = await ctx.stores.integrations.findByProvider(integration.projectId, provider.id);
	const counts = living?.hook?.tokenHash ? living.hook : null;
	const prefix = hookUrlPrefix(ctx.publicUrl(), platform);
	let deleted = 0;
	for (const target of placesOf(access.target, former)) {
		const at = { ...access, target };
		const found = await provider.listHooks(at);
		const isStray = (url: string) => url.startsWith(prefix) && hashOf(url) !== counts?.tokenHash;
		const isFormer = (id: string) =>
			former?.remote.some((hook) => hook.id === id) === true &&
			counts?.remote.some((hook) => hook.id === id) !== true;
		for (const hook of found.filter(({ id, url }) => isStray(url) || isFormer(id))) {
			await provider.deleteHook(at, hook.id);
			deleted += 1;
		}
	}
	return deleted;
}

function placesOf(target: PlatformTarget, former: PlatformHook | null): PlatformTarget[] {
	const earlier = former?.target ?? null;
	return earlier === null || earlier.id === target.id ? [target] : [target, earlier];
}

function hashOf(url: string): string | null {
	const token = tokenIn(url);
	return token === null ? null : hashPathToken(token);
}
