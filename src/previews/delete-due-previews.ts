import type { Context } from "../context.ts";
import { forEvery } from "../core/for-every.ts";
import { systemActor } from "../core/principal.ts";
import { endPreview } from "./delete-preview.ts";

const batchSize = 100;

/**
 * Queues the end of every preview whose time is over, and once an hour of those whose end has failed. Replicas may
 * do it at the same time: each preview is looked at again under its lock, so one that was extended meanwhile lives on. Throws
 * at the end when one could not be queued.
 */
export async function deleteDuePreviews(ctx: Pick<Context, "stores" | "transaction" | "log">): Promise<void> {
	await forEvery(
		await ctx.stores.previews.listDue(batchSize),
		(id) =>
			ctx.transaction(async (tx) => {
				const preview = await tx.stores.previews.findDueForUpdate(id);
				if (preview) await endPreview(tx, preview, { reason: "expired", actor: systemActor });
			}),
		(id, error) =>
			ctx.log.warn({ preview_database_id: id, err: error }, "a preview's end could not be queued"),
	);
}
