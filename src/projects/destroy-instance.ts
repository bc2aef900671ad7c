import type { Transaction } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import { projectIdOf } from "../jobs/job.ts";
import type { JobType } from "../jobs/job-type.ts";
import { lockOut } from "./cluster-database.ts";
import { sealNothing } from "./credentials.ts";
import { projectEvent } from "./project-event.ts";
import { projectTarget } from "./use-project-database.ts";

type Hooks = {
	/** Disconnects the project's integrations; may be repeated. */
	disconnectIntegrations(tx: Transaction, projectId: ProjectId): Promise<unknown>;
	/** Queues the end of the project's preview databases; may be repeated. */
	deletePreviews(tx: Transaction, projectId: ProjectId): Promise<unknown>;
};

/**
 * The job `instance.destroy`: disconnects the integrations, ends the previews, takes a created role's login away and
 * ends its sessions. The database itself is dropped a day later by `drop-expired-projects`; a bring-your-own one
 * never is.
 */
export function destroyInstance({ disconnectIntegrations, deletePreviews }: Hooks): JobType {
	return {
		run: async (ctx, run) => {
			const projectId = projectIdOf(run.job);
			const project = await ctx.stores.projects.find(projectId);
			if (project?.state !== "deleting") return undefined;
			run.say(`validated project ${project.slug} (${project.id})`);
			await ctx.transaction((tx) => disconnectIntegrations(tx, projectId));
			run.say("disconnected its integrations");
			await ctx.transaction((tx) => deletePreviews(tx, projectId));
			if (project.origin === "created") {
				await ctx.projectDatabases.asClusterAdmin((admin) => lockOut(admin, project.roleName));
				run.say("took its role's login away; its database is dropped in 24 hours");
			}
			await ctx.projectDatabases.forget(projectTarget(ctx, project));
			return async (tx) => {
				const deleted = await tx.stores.projects.markDeleted(projectId, sealNothing(tx.vault, projectId));
				return deleted ? [projectEvent("project.deleted", deleted)] : [];
			};
		},
		failed: async (tx, job, sentence) => {
			await tx.stores.projects.updateFrom(projectIdOf(job), ["deleting"], { lastError: sentence });
			return [];
		},
	};
}
