import type { Context } from "../context.ts";
import { dropDatabase } from "./cluster-database.ts";
import { projectTarget } from "./use-project-database.ts";

const batchSize = 50;

/**
 * Drops the databases and roles of created projects that were deleted 24 hours ago or earlier. One that cannot be
 * dropped is logged and tried again the next time; it does not keep the others.
 */
export async function dropExpiredProjects(
	ctx: Pick<Context, "stores" | "projectDatabases" | "vault" | "log">,
): Promise<void> {
	for (const project of await ctx.stores.projects.listExpired(batchSize)) {
		try {
			await ctx.projectDatabases.forget(projectTarget(ctx, project));
			await ctx.projectDatabases.asClusterAdmin((admin) =>
				dropDatabase(admin, project.databaseName, project.roleName),
			);
			await ctx.stores.projects.markDropped(project.id);
			ctx.log.info({ project_id: project.id }, "dropped a deleted project's database");
		} catch (error) {
			ctx.log.warn(
				{ project_id: project.id, err: error },
				"a deleted project's database could not be dropped",
			);
		}
	}
}
