import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { newId, type ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Job } from "../jobs/job.ts";
import { newPassword } from "../projects/credentials.ts";
import { projectDeleting, projectNotReady } from "../projects/errors.ts";
import type { Project } from "../projects/project.ts";
import { previewLimitReached, previewNameTaken } from "./errors.ts";
import { type Preview, type PreviewMode, previewResource } from "./preview.ts";
import { sealPassword } from "./preview-credentials.ts";

type Addition = {
	/** Null generates one. */
	name: string | null;
	mode: PreviewMode;
	ttlHours: number;
	actor: Actor;
};

/**
 * Makes a preview database and queues `branch.create`, which builds it. Throws a 409 for a name that another
 * preview of the project has, at the limit of `PREVIEWS_MAX`, for a project that is being deleted, and for the clone
 * of one that is not ready.
 */
export async function createPreview(
	ctx: Pick<Context, "transaction">,
	input: Addition & { projectId: ProjectId },
): Promise<{ preview: Preview; job: Job }> {
	return ctx.transaction(async (tx) => {
		const project = await lockProject(tx, input.projectId);
		const { name } = input;
		if (name !== null && (await tx.stores.previews.findByNameForUpdate(project.id, name))) {
			throw previewNameTaken();
		}
		return addPreview(tx, project, input);
	});
}

/** Until the transaction ends, no one else adds a preview to the project, nor deletes the project. */
export async function lockProject(tx: Transaction, projectId: ProjectId): Promise<Project> {
	const project = await tx.stores.projects.findForUpdate(projectId);
	if (!project) throw notFound("project");
	if (project.state === "deleting") throw projectDeleting();
	return project;
}

/** Adds a preview to a project that is locked, under a name that is free. */
export async function addPreview(
	tx: Transaction,
	project: Project,
	input: Addition,
): Promise<{ preview: Preview; job: Job }> {
	const { mode, ttlHours, actor } = input;
	if (mode === "clone" && project.state !== "ready") throw projectNotReady();
	const { previewsMax } = tx.config;
	if ((await tx.stores.previews.countLiving(project.id)) >= previewsMax) {
		throw previewLimitReached(previewsMax);
	}
	const { organizationId, id: projectId } = project;
	const id = newId("pvw");
	const preview = await tx.stores.previews.insert({
		id,
		organizationId,
		projectId,
		name: input.name ?? `preview-${id.slice(-8)}`,
		mode,
		credentials: sealPassword(tx.vault, id, newPassword()),
		ttlHours,
	});
	const job = await enqueueJob(tx, {
		type: "branch.create",
		organizationId,
		projectId,
		lockedResource: previewResource(id),
		previewDatabaseId: id,
	});
	const metadata = { preview_database_id: id, mode, ttl_hours: ttlHours, job_id: job.id };
	await recordAudit(tx, { organizationId, projectId, action: "preview.created", actor, metadata });
	return { preview, job };
}
