import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { openPlatform } from "../integrations/platforms/open-platform.ts";
import { whileAlone } from "../integrations/platforms/while-alone.ts";
import type { Connections } from "../projects/cluster-connections.ts";
import { desiredVariables } from "./desired-variables.ts";
import { eraseVariables } from "./erase-variables.ts";
import { writeVariables } from "./write-variables.ts";

type Parts = Pick<Context, "stores" | "vault" | "providers" | "clock" | "log">;

type Input = {
	integrationId: IntegrationId;
	/** As the platform spells it. */
	branch: string;
	connections: Pick<Connections, "pooledUrl" | "directUrl">;
	signal?: AbortSignal;
};

/**
 * Sets the two variables of one branch at the platform, for that branch alone, and takes away what stood there for it
 * under another prefix. `isFirst` when it had none of ours
 * before: its first build then ran without them. May be repeated. Throws a ProviderError, a 409 for an integration
 * that is disconnected or disabled, and a 503 while another changes the same platform for long.
 */
export async function pushBranchVariables(
	ctx: Parts,
	{ integrationId, branch, connections, signal }: Input,
): Promise<{ written: number; isFirst: boolean }> {
	const { integration: place } = await openPlatform(ctx, integrationId);
	return whileAlone(ctx, place, { signal }, async (alone) => {
		const platform = await openPlatform(ctx, integrationId, alone);
		const { integration, provider, access } = platform;
		const before = await ctx.stores.pushedVariables.list(integration.id);
		const isFirst = !before.some(
			(variable) =>
				variable.branch === branch && variable.target.id === access.target.id && variable.id !== "",
		);
		const desired = desiredVariables(provider, integration, { connections, branch });
		const { written } = await writeVariables(ctx, platform, desired);
		const isWanted = (key: string) => desired.some((variable) => variable.key === key);
		const outdated = before.filter((variable) => variable.branch === branch && !isWanted(variable.key));
		if (outdated.length > 0) await eraseVariables(ctx, platform, outdated);
		return { written: written.length, isFirst };
	});
}
