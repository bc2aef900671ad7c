import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { PreviewId, ProjectId } from "../core/ids.ts";
import { type Actor, systemActor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { type DeletionReason, type Preview, previewResource } from "./preview.ts";

const type = "branch.delete";

/** Queues the preview's end. Asked again while that is under way, it answers with the same job. */
export async function deletePreview(
	ctx: Pick<Context, "transaction">,
	input: { previewId: PreviewId; actor: Actor },
): Promise<Job> {
	return ctx.transaction(async (tx) => {
		const preview = await tx.stores.previews.findForUpdate(input.previewId);
		if (!preview) throw notFound("preview database");
		return endPreview(tx, preview, { reason: "requested", actor: input.actor });
	});
}

/** Queues the end of all previews of a project that is being deleted; may be repeated. */
export async function deletePreviewsOf(tx: Transaction, projectId: ProjectId): Promise<number> {
	const previews = await tx.stores.previews.listLiving(projectId);
	for (const { id } of previews) {
		const preview = await tx.stores.previews.findForUpdate(id);
		if (preview) await endPreview(tx, preview, { reason: "project_deleted", actor: systemActor });
	}
	return previews.length;
}

/** Queues the end of a preview that is locked; once more when an earlier end has failed. */
export async function endPreview(
	tx: Transaction,
	preview: Preview,
	{ reason, actor }: { reason: DeletionReason; actor: Actor },
): Promise<Job> {
	const { organizationId, projectId, id } = preview;
	const lockedResource = previewResource(id);
	const open = await tx.stores.jobs.listOpen(lockedResource);
	const underWay = open.find((job) => job.type === type);
	if (underWay) return underWay;
	const isNew = preview.state !== "deleting";
	const changes = { state: "deleting", deletionReason: preview.deletionReason ?? reason } as const;
	await tx.stores.previews.updateFrom(id, [preview.state], changes);
	const job = await enqueueJob(tx, {
		type,
		organizationId,
		projectId,
		lockedResource,
		previewDatabaseId: id,
	});
	const metadata = { preview_database_id: id, reason, job_id: job.id };
	if (isNew) {
		await recordAudit(tx, { organizationId, projectId, action: "preview.deleted", actor, metadata });
	}
	return job;
}
