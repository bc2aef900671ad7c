import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { PreviewId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { previewDeleting, previewNotReady } from "./errors.ts";
import { type Preview, previewResource } from "./preview.ts";

/**
 * Queues `branch.reset`: what is in the preview goes, and it is built as it was at first; role, password and URL
 * stay. Throws a 409 while it is being built or deleted.
 */
export async function resetPreview(
	ctx: Pick<Context, "transaction">,
	input: { previewId: PreviewId; actor: Actor },
): Promise<Job> {
	return ctx.transaction(async (tx) => {
		const preview = await tx.stores.previews.findForUpdate(input.previewId);
		if (!preview) throw notFound("preview database");
		if (preview.state === "deleting") throw previewDeleting();
		if (preview.state === "provisioning") throw previewNotReady();
		const { job } = await rebuildPreview(tx, preview, input.actor);
		return job;
	});
}

/** Queues the building of a preview that is ready or has failed, and that is locked. */
export async function rebuildPreview(
	tx: Transaction,
	preview: Preview,
	actor: Actor,
): Promise<{ preview: Preview; job: Job }> {
	const { organizationId, projectId, id } = preview;
	const changes = { state: "provisioning", lastError: null } as const;
	const rebuilding = await tx.stores.previews.updateFrom(id, ["ready", "failed"], changes);
	const job = await enqueueJob(tx, {
		type: "branch.reset",
		organizationId,
		projectId,
		lockedResource: previewResource(id),
		previewDatabaseId: id,
	});
	const metadata = { preview_database_id: id, job_id: job.id };
	await recordAudit(tx, { organizationId, projectId, action: "preview.reset", actor, metadata });
	return { preview: rebuilding ?? preview, job };
}
