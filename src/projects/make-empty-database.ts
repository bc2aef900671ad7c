import type { Context } from "../context.ts";
import { ensureDatabase, ensureRole, grantPublicSchema } from "./cluster-database.ts";

/**
 * Makes a database on the project cluster and the one role that may enter it, which cannot log in yet. What an
 * earlier attempt left is gone on with, as long as nobody else has been in it.
 */
export async function makeEmptyDatabase(
	projectDatabases: Pick<Context["projectDatabases"], "asClusterAdmin">,
	{ databaseName, roleName }: { databaseName: string; roleName: string },
): Promise<void> {
	await projectDatabases.asClusterAdmin(async (admin) => {
		await ensureRole(admin, roleName);
		await ensureDatabase(admin, databaseName, roleName);
	});
	await projectDatabases.asClusterAdmin((fresh) => grantPublicSchema(fresh, roleName), {
		freshDatabase: databaseName,
	});
}
