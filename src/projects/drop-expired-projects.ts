import type { Context } from "../context.ts";
import { forEvery } from "../core/for-every.ts";
import { dropDatabase } from "./cluster-database.ts";
import { projectTarget } from "./use-project-database.ts";

const batchSize = 50;

/**
 * Drops the databases and roles of created projects that were deleted 24 hours ago or earlier. One that cannot be
 * dropped is logged and tried again the next time; it does not keep the others. Throws at the end when there was one.
 */
export async function dropExpiredProjects(
	ctx: Pick<Context, "stores" | "projectDatabases" | "vault" | "log">,
): Promise<void> {
	await forEvery(
		await ctx.stores.projects.listExpired(batchSize),
		async (project) => {
			await ctx.projectDatabases.forget(projectTarget(ctx, project));
			await ctx.projectDatabases.asClusterAdmin((admin) =>
				dropDatabase(admin, project.databaseName, project.roleName),
			);
			await ctx.stores.projects.markDropped(project.id);
			ctx.log.info({ project_id: project.id }, "dropped a deleted project's database");
		},
		({ id }, error) =>
			ctx.log.warn({ project_id: id, err: error }, "a deleted project's database could not be dropped"),
	);
}
