import type { Context } from "../context.ts";
import type { PreviewId } from "../core/ids.ts";
import { dropDatabase, lockOut } from "../projects/cluster-database.ts";

/** Ends the sessions of a preview, drops its database and its role; finds whatever part of them is there. */
export async function removeDatabase(
	{ projectDatabases }: Pick<Context, "projectDatabases">,
	id: PreviewId,
): Promise<void> {
	await projectDatabases.forget({ ...projectDatabases.clusterAddress(), database: id });
	await projectDatabases.asClusterAdmin(async (admin) => {
		await lockOut(admin, id);
		await dropDatabase(admin, id, id);
	});
}
