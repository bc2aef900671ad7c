import type { Context } from "../context.ts";
import type { ProjectDatabaseTarget } from "../platform/project-db.ts";
import { countSessions } from "../projects/cluster-database.ts";
import type { Project } from "../projects/project.ts";
import { readServerMajor } from "../projects/read-server-major.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";
import { cannotClone } from "./errors.ts";

/** Where a clone is taken from, and how. */
export type CloneSource = {
	/** `dump`: `pg_dump | pg_restore`. `template`: a copy that the cluster makes of its own database. */
	road: "dump" | "template";
	/** Holds the password that is in force: never log it. */
	target: ProjectDatabaseTarget;
};

type Parts = Pick<Context, "vault" | "projectDatabases" | "postgresTools">;

const templateBytesMax = 100 * 1024 * 1024;

/**
 * Looks at the project's database and chooses the road: tools that are at least of the server's major version, else
 * a template copy of a small database of ours that nobody is connected to. Throws a ProjectDatabaseError when it
 * cannot be reached, and for good, naming the package to install, when neither road is open.
 */
export async function findCloneSource(ctx: Parts, project: Project): Promise<CloneSource> {
	const { target, major, bytes } = await look(ctx, project);
	const toolsMajor = await ctx.postgresTools.findMajor();
	if (toolsMajor !== null && toolsMajor >= major) return { road: "dump", target };
	const obstacle = await obstacleOnTemplate(ctx, project, target, bytes);
	if (obstacle === null) return { road: "template", target };
	const tools =
		toolsMajor === null
			? "this server has no pg_dump"
			: `this server's pg_dump has version ${toolsMajor}, the database ${major}`;
	const install = `install the package postgresql-client-${major}, or name its pg_dump in PG_DUMP`;
	throw cannotClone(`The database cannot be cloned: ${tools}, and ${obstacle}; ${install}.`);
}

async function look(
	ctx: Parts,
	project: Project,
): Promise<{ target: ProjectDatabaseTarget; major: number; bytes: number }> {
	return useProjectDatabase(ctx, project, async (client, target) => {
		const major = await readServerMajor(client);
		if (project.origin === "external") return { target, major, bytes: 0 };
		const [size] = await client.query<{ bytes: unknown }>(
			"select pg_catalog.pg_database_size(pg_catalog.current_database())::pg_catalog.float8 as bytes",
		);
		return { target, major, bytes: Number(size?.bytes) };
	});
}

/** Why the database cannot be copied as a template; null when it can. */
async function obstacleOnTemplate(
	ctx: Parts,
	project: Project,
	target: ProjectDatabaseTarget,
	bytes: number,
): Promise<string | null> {
	if (project.origin === "external") return "a database outside its cluster cannot be cloned otherwise";
	if (bytes > templateBytesMax) return "without it only databases of up to 100 MB can be cloned";
	await ctx.projectDatabases.forget(target);
	const sessions = await ctx.projectDatabases.asClusterAdmin((admin) =>
		countSessions(admin, project.databaseName),
	);
	return sessions > 0 ? "without it only a database that nobody is connected to can be cloned" : null;
}
