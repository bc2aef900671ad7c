import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { openPlatform } from "../integrations/platforms/open-platform.ts";
import { whileAlone } from "../integrations/platforms/while-alone.ts";
import { eraseVariables } from "./erase-variables.ts";

type Parts = Pick<Context, "stores" | "vault" | "providers" | "clock" | "log">;

type Input = { integrationId: IntegrationId; branch: string; signal?: AbortSignal };

/**
 * Removes the variables of one branch from the platform, as far as they stand as we wrote them. May be repeated.
 * Throws what `pushBranchVariables` throws.
 */
export async function removeBranchVariables(
	ctx: Parts,
	{ integrationId, branch, signal }: Input,
): Promise<{ removed: number; kept: number }> {
	const { integration: place } = await openPlatform(ctx, integrationId);
	return whileAlone(ctx, place, { signal }, async (alone) => {
		const platform = await openPlatform(ctx, integrationId, alone);
		const ours = await ctx.stores.pushedVariables.list(integrationId);
		return eraseVariables(
			ctx,
			platform,
			ours.filter((variable) => variable.branch === branch),
		);
	});
}
