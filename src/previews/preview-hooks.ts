import type { Transaction } from "../context.ts";
import type { Preview } from "./preview.ts";

/** Who has to know of a preview, in the transaction that settles its job. */
export type PreviewHooks = {
	ready(tx: Transaction, preview: Preview): Promise<void>;
	failed(tx: Transaction, preview: Preview, sentence: string): Promise<void>;
	/** Its database and its row are no more. */
	gone(tx: Transaction, preview: Preview): Promise<void>;
};
