import type { Context } from "../context.ts";
import type { PreviewId } from "../core/ids.ts";
import { JobClaimLost } from "../jobs/errors.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import { letLogIn } from "../projects/cluster-database.ts";
import { projectDeleting } from "../projects/errors.ts";
import { makeEmptyDatabase } from "../projects/make-empty-database.ts";
import type { Project } from "../projects/project.ts";
import { cloneByDump } from "./clone-by-dump.ts";
import { cloneByTemplate } from "./clone-by-template.ts";
import { findCloneSource } from "./clone-source.ts";
import { previewDeleting } from "./errors.ts";
import type { Preview } from "./preview.ts";
import { openPassword } from "./preview-credentials.ts";
import { previewEvent } from "./preview-event.ts";
import type { PreviewHooks } from "./preview-hooks.ts";
import { removeDatabase } from "./remove-database.ts";

/**
 * The jobs `branch.create` and `branch.reset`: make the preview's role and database anew, empty or as a copy of the
 * project's. Nothing half-made is kept: an attempt that was cut off is begun again from nothing, until the database
 * is whole. The login comes last.
 */
export function buildPreview(hooks: Pick<PreviewHooks, "ready" | "failed">): JobType {
	return {
		run: (ctx, run) => buildAndOpen(ctx, run, hooks),
		failed: async (tx, job, sentence) => {
			const changes = { state: "failed", lastError: sentence } as const;
			const id = job.previewDatabaseId as PreviewId;
			const failed = await tx.stores.previews.updateFrom(id, ["provisioning"], changes);
			if (failed) await hooks.failed(tx, failed, sentence);
			return [];
		},
	};
}

async function buildAndOpen(
	ctx: Context,
	run: JobRun,
	hooks: Pick<PreviewHooks, "ready">,
): Promise<Settlement | undefined> {
	const preview = await findWanted(ctx, run);
	// A job that failed may be retried after another one has built the preview.
	if (preview.state === "ready") return undefined;
	const project = await ctx.stores.projects.find(preview.projectId);
	if (!project || project.state === "deleting") throw projectDeleting();
	run.say(`validated preview database ${preview.name} of project ${project.slug} (${project.id})`);
	if (run.job.progress.built !== true) await build(ctx, run, preview, project);
	await open(ctx, run, preview);
	return async (tx) => {
		const changes = { state: "ready", lastError: null } as const;
		const ready = await tx.stores.previews.updateFrom(preview.id, ["provisioning", "failed"], changes);
		if (!ready) return [];
		await hooks.ready(tx, ready);
		return [previewEvent(ctx, ready, "preview.ready")];
	};
}

async function findWanted(ctx: Context, run: JobRun): Promise<Preview> {
	const preview = await ctx.stores.previews.find(run.job.previewDatabaseId as PreviewId);
	if (!preview || preview.state === "deleting") throw previewDeleting();
	return preview;
}

async function build(ctx: Context, run: JobRun, preview: Preview, project: Project): Promise<void> {
	// What cannot be cloned is found out before a reset throws away what there is.
	const source = preview.mode === "clone" ? await findCloneSource(ctx, project) : null;
	// Only the process that holds the claim may drop anything.
	await run.saveProgress({});
	await removeDatabase(ctx, preview.id);
	try {
		if (source === null) {
			await makeEmptyDatabase(ctx.projectDatabases, { databaseName: preview.id, roleName: preview.id });
			run.say("created its database and its role");
		} else if (source.road === "dump") await cloneByDump(ctx, run, preview, source);
		else await cloneByTemplate(ctx, run, preview, project, source);
	} catch (error) {
		const isOursToClear = !run.signal.aborted && !(error instanceof JobClaimLost);
		if (isOursToClear) await clearAfterFailure(ctx, preview.id);
		throw error;
	}
	await run.saveProgress({ built: true });
}

async function clearAfterFailure(ctx: Context, id: PreviewId): Promise<void> {
	try {
		await removeDatabase(ctx, id);
	} catch (error) {
		// The next attempt, or the preview's deletion, begins with the same.
		ctx.log.warn({ preview_database_id: id, err: error }, "a half-built preview could not be removed");
	}
}

async function open(ctx: Context, run: JobRun, preview: Preview): Promise<void> {
	// One that was deleted meanwhile must not be handed a login.
	const { id } = await findWanted(ctx, run);
	const password = openPassword(ctx.vault, preview);
	await ctx.projectDatabases.asClusterAdmin((admin) => letLogIn(admin, id, password));
	run.say("opened it to its role");
}
