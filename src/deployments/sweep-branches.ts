import type { Context } from "../context.ts";
import { enqueueBranch } from "./enqueue-branch.ts";

const branchesMax = 200;

/** Takes up branches whose variables are behind, as after their integration was mended, and forgets disconnected ones. */
export async function sweepBranches(ctx: Pick<Context, "stores" | "transaction" | "log">): Promise<void> {
	await ctx.stores.branches.removeOrphans();
	for (const branch of await ctx.stores.branches.listBehind(branchesMax)) {
		try {
			await ctx.transaction((tx) => enqueueBranch(tx, branch));
		} catch (error) {
			const { integrationId } = branch;
			ctx.log.warn(
				{ integration_id: integrationId, err: error },
				"a branch's variables could not be taken up",
			);
		}
	}
}
