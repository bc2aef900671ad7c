import type { Context } from "../context.ts";
import type { JobRun } from "../jobs/job-type.ts";
import { letLogIn, lockOut } from "../projects/cluster-database.ts";
import { newPassword } from "../projects/credentials.ts";
import { makeEmptyDatabase } from "../projects/make-empty-database.ts";
import type { CloneSource } from "./clone-source.ts";
import type { Preview } from "./preview.ts";
import { whileWanted } from "./while-wanted.ts";

/**
 * Fills the preview with `pg_dump | pg_restore`, as the project's own role here and the preview's there. The role
 * has a password of this attempt's own meanwhile: nobody else gets in, nor does a process that was taken for dead.
 */
export async function cloneByDump(
	ctx: Context,
	run: JobRun,
	preview: Preview,
	source: CloneSource,
): Promise<void> {
	const { projectDatabases } = ctx;
	const { id } = preview;
	const password = newPassword();
	await makeEmptyDatabase(projectDatabases, { databaseName: id, roleName: id });
	run.say("created its database and its role");
	await projectDatabases.asClusterAdmin((admin) => letLogIn(admin, id, password));
	const to = {
		...projectDatabases.clusterAddress(),
		user: id,
		password,
		database: id,
		options: null,
		isTenantNamed: false,
	};
	await whileWanted(ctx, run, preview, (signal) =>
		ctx.postgresTools.copyDatabase({ from: source.target, to, signal }),
	);
	run.say("copied the project's database with pg_dump and pg_restore");
	await projectDatabases.asClusterAdmin((admin) => lockOut(admin, id));
}
