import type { PreviewId } from "../core/ids.ts";
import type { JobType } from "../jobs/job-type.ts";
import { previewEvent } from "./preview-event.ts";
import type { PreviewHooks } from "./preview-hooks.ts";
import { removeDatabase } from "./remove-database.ts";

/** The job `branch.delete`: drops the preview's database and role, then its row goes. */
export function dropPreview(hooks: Pick<PreviewHooks, "gone">): JobType {
	return {
		run: async (ctx, run) => {
			const id = run.job.previewDatabaseId as PreviewId;
			const preview = await ctx.stores.previews.find(id);
			if (preview?.state !== "deleting") return undefined;
			run.say(`validated preview database ${preview.name} (${id})`);
			await removeDatabase(ctx, id);
			run.say("dropped its database and its role");
			return async (tx) => {
				const removed = await tx.stores.previews.remove(id);
				if (!removed) return [];
				await hooks.gone(tx, removed);
				const reason = removed.deletionReason ?? "requested";
				return [previewEvent(ctx, removed, "preview.deleted", { reason })];
			};
		},
		failed: async (tx, job, sentence) => {
			const changes = { lastError: sentence };
			await tx.stores.previews.updateFrom(job.previewDatabaseId as PreviewId, ["deleting"], changes);
			return [];
		},
	};
}
