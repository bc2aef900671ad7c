import type { Platform } from "./open-platform.ts";

/** What the platform calls. It holds the path token: never log it. */
export function hookUrl(
	publicUrl: string,
	platform: Pick<Platform, "integration" | "provider">,
	token: string,
): string {
	return `${hookUrlPrefix(publicUrl, platform)}${token}`;
}

/** What every hook of ours for this project calls, whatever its token. */
export function hookUrlPrefix(
	publicUrl: string,
	{ integration, provider }: Pick<Platform, "integration" | "provider">,
): string {
	return `${publicUrl}/v1/integrations/${provider.pathNames[0]}/webhook/${integration.projectId}/`;
}

/** The path token of a hook's URL; null when the URL is none of ours. */
export function tokenIn(url: string): string | null {
	return (
		/\/v1\/integrations\/[a-z-]+\/webhook\/prj_[0-9a-z]{26}\/([\w-]{20,200})(?:\?|$)/.exec(url)?.[1] ?? null
	);
}
