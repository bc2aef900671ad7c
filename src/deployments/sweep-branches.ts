import type { Context } from "../context.ts";
import { forEvery } from "../core/for-every.ts";
import { enqueueBranch } from "./enqueue-branch.ts";

const branchesMax = 200;

/**
 * Takes up branches whose variables are behind, as after their integration was mended, and forgets disconnected ones.
 * Throws at the end when one could not be taken up.
 */
export async function sweepBranches(ctx: Pick<Context, "stores" | "transaction" | "log">): Promise<void> {
	await ctx.stores.branches.removeOrphans();
	await forEvery(
		await ctx.stores.branches.listBehind(branchesMax),
		(branch) => ctx.transaction(async (tx) => void (await enqueueBranch(tx, branch))),
		({ integrationId }, error) =>
			ctx.log.warn(
				{ integration_id: integrationId, err: error },
				"a branch's variables could not be taken up",
			),
	);
}
