import type { Context, Transaction } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { projectIdOf } from "../jobs/job.ts";
import type { JobRun, JobType } from "../jobs/job-type.ts";
import { setPassword } from "./cluster-database.ts";
import { newPassword, openCreatedCredentials, sealCreatedCredentials } from "./credentials.ts";
import { projectNotReady } from "./errors.ts";
import type { Project } from "./project.ts";
import { projectEvent } from "./project-event.ts";
import { projectTarget } from "./use-project-database.ts";

/** Queues the push of a project's changed credentials to every connected platform. */
export type Repush = (tx: Transaction, projectId: ProjectId) => Promise<unknown>;

/** The job `project.rotate_credentials`: a new password for a created project's role. */
export function rotateCredentials({ repush }: { repush: Repush }): JobType {
	return {
		run: async (ctx, run) => {
			const project = await ctx.stores.projects.find(projectIdOf(run.job));
			if (project?.state !== "ready" || project.origin !== "created") throw projectNotReady();
			run.say(`validated project ${project.slug} (${project.id})`);
			const password = await stagePassword(ctx, project);
			await changePassword(ctx, project, password, run);
			run.say("set a new password for its role");
			return async (tx) => {
				const credentials = sealCreatedCredentials(tx.vault, project.id, { password, nextPassword: null });
				const rotated = await tx.stores.projects.replaceCredentials(project.id, credentials);
				if (!rotated) return [];
				await repush(tx, project.id);
				return [projectEvent("credentials.rotated", rotated)];
			};
		},
	};
}

/**
 * Keeps the new password beside the old one before the cluster hears of it, so that no crash leaves us with a
 * password that nobody knows. A repeated attempt goes on with the one that is kept.
 */
async function stagePassword(ctx: Context, project: Project): Promise<string> {
	const { password, nextPassword } = openCreatedCredentials(ctx.vault, project);
	if (nextPassword !== null) return nextPassword;
	const next = newPassword();
	const staged = sealCreatedCredentials(ctx.vault, project.id, { password, nextPassword: next });
	await ctx.stores.projects.stageCredentials(project.id, staged);
	return next;
}

async function changePassword(ctx: Context, project: Project, password: string, run: JobRun): Promise<void> {
	// Two processes must not set two passwords: the one that lost the claim stops here.
	await run.saveProgress({});
	const { roleName } = project;
	await ctx.projectDatabases.asClusterAdmin((admin) => setPassword(admin, roleName, password));
	await ctx.projectDatabases.forget(projectTarget(ctx, project));
}
