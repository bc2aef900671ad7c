import type { Transaction } from "../context.ts";
import type { Preview } from "../previews/preview.ts";
import { enqueueBranch } from "./enqueue-branch.ts";

/** What a preview's jobs tell of, in the transaction that settles them: the variables of its branches follow it. */
export const branchHooks = {
	async ready(tx: Transaction, { id }: Preview): Promise<void> {
		for (const branch of await tx.stores.branches.listOfPreview(id)) {
			if (branch.pushedPreviewId !== id) await enqueueBranch(tx, branch);
		}
	},

	async failed(tx: Transaction, { id }: Preview, sentence: string): Promise<void> {
		for (const branch of await tx.stores.branches.listOfPreview(id)) {
			await tx.stores.deployments.setErrorOfLatest(branch, sentence);
		}
	},

	async gone(tx: Transaction, { id }: Preview): Promise<void> {
		for (const branch of await tx.stores.branches.releasePreview(id)) await enqueueBranch(tx, branch);
	},
};
