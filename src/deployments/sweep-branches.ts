import type { Context } from "../context.ts";
import { enqueueBranch } from "./enqueue-branch.ts";

const branchesMax = 200;

/** Takes up branches whose variables are behind, as after their integration was mended, and forgets disconnected ones. */
export async function sweepBranches(ctx: Pick<Context, "stores" | "transaction">): Promise<void> {
	await ctx.stores.branches.removeOrphans();
	for (const branch of await ctx.stores.branches.listBehind(branchesMax)) {
		await ctx.transaction((tx) => enqueueBranch(tx, branch));
	}
}
