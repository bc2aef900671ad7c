import type { Context } from "../context.ts";
import { AppError } from "../core/errors.ts";
import type { JobRun } from "../jobs/job-type.ts";
import {
	copyDatabase,
	ensureDatabase,
	ensureRole,
	grantPublicSchema,
	lendRole,
	revokePublicSchema,
	takeBackRole,
} from "../projects/cluster-database.ts";
import type { Project } from "../projects/project.ts";
import type { CloneSource } from "./clone-source.ts";
import { handOver } from "./hand-over.ts";
import type { Preview } from "./preview.ts";

/**
 * Fills the preview with the cluster's own copy of the project's database, and gives what is in it to the preview's
 * role. The project's role does the giving, and is for that moment a member of the preview's.
 */
export async function cloneByTemplate(
	ctx: Context,
	run: JobRun,
	preview: Preview,
	project: Project,
	source: CloneSource,
): Promise<void> {
	const { projectDatabases } = ctx;
	const { id } = preview;
	const { databaseName, roleName } = project;
	const isCopied = await projectDatabases.asClusterAdmin(async (admin) => {
		await ensureRole(admin, id);
		if (!(await copyDatabase(admin, id, databaseName))) return false;
		await ensureDatabase(admin, id, id);
		return true;
	});
	if (!isCopied) throw connectedJustNow();
	run.say("copied the project's database within the cluster");
	await projectDatabases.asClusterAdmin((copy) => grantPublicSchema(copy, id), { freshDatabase: id });
	await projectDatabases.asClusterAdmin((admin) => lendRole(admin, id, roleName));
	const target = { ...source.target, database: id };
	const { given, left } = await projectDatabases.use(target, (client) => handOver(client, roleName, id));
	await projectDatabases.forget(target);
	await projectDatabases.asClusterAdmin((admin) =>
		takeBackRole(admin, { role: id, member: roleName, database: id }),
	);
	await projectDatabases.asClusterAdmin((copy) => revokePublicSchema(copy, roleName), { freshDatabase: id });
	run.say(`gave ${given} objects to its role`);
	if (left.length > 0) run.say(`left to the project's role: ${left.join(", ")}`);
}

function connectedJustNow(): AppError {
	const sentence =
		"Somebody connected to the project's database just now; it can be cloned without pg_dump only while nobody is.";
	return new AppError("unavailable", "preview.source_in_use", sentence);
}
