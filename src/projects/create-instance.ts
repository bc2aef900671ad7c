import type { Context } from "../context.ts";
import { projectIdOf } from "../jobs/job.ts";
import type { JobRun, JobType } from "../jobs/job-type.ts";
import { canLogIn, letLogIn } from "./cluster-database.ts";
import { openCreatedCredentials } from "./credentials.ts";
import { projectDeleting } from "./errors.ts";
import { makeEmptyDatabase } from "./make-empty-database.ts";
import type { Project } from "./project.ts";
import { projectEvent } from "./project-event.ts";
import { readServerMajor } from "./read-server-major.ts";
import { useProjectDatabase } from "./use-project-database.ts";

/**
 * The job `instance.create`: makes the project's role and database on the cluster, or checks that a bring-your-own
 * database lets us in. Then the project is `ready`. Every step finds what an earlier attempt left.
 */
export const createInstance: JobType = {
	run: async (ctx, run) => {
		const project = await ctx.stores.projects.find(projectIdOf(run.job));
		if (!project || project.state === "deleting") throw projectDeleting();
		run.say(`validated project ${project.slug} (${project.id})`);
		if (project.origin === "created") await makeDatabase(ctx, project, run);
		const postgresVersion = await useProjectDatabase(ctx, project, readServerMajor);
		run.say(`connected to its database, Postgres ${postgresVersion}`);
		return async (tx) => {
			const changes = { state: "ready", lastError: null, postgresVersion } as const;
			const ready = await tx.stores.projects.updateFrom(project.id, ["provisioning", "failed"], changes);
			return ready ? [projectEvent("project.ready", ready)] : [];
		};
	},
	failed: async (tx, job, sentence) => {
		const changes = { state: "failed", lastError: sentence } as const;
		await tx.stores.projects.updateFrom(projectIdOf(job), ["provisioning"], changes);
		return [];
	},
};

/** The login comes last: a role that can log in has everything else. */
async function makeDatabase(ctx: Context, project: Project, run: JobRun): Promise<void> {
	const { projectDatabases } = ctx;
	const { databaseName, roleName } = project;
	if (await projectDatabases.asClusterAdmin((admin) => canLogIn(admin, roleName))) return;
	await makeEmptyDatabase(projectDatabases, { databaseName, roleName });
	run.say("created its database and its role");
	// A process that was taken for dead must not hand out a login after the project was deleted meanwhile.
	await run.saveProgress({});
	const { password } = openCreatedCredentials(ctx.vault, project);
	await projectDatabases.asClusterAdmin((admin) => letLogIn(admin, roleName, password));
}
