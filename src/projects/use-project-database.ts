import type { Context } from "../context.ts";
import type { ProjectDatabaseClient, ProjectDatabaseTarget } from "../platform/project-db.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import { parseProjectUrl } from "../platform/project-url.ts";
import { openCreatedCredentials, openExternalCredentials } from "./credentials.ts";
import type { Project } from "./project.ts";

/**
 * Runs `work` in the project's own database as the tenant's own role, within the bounds of
 * `platform/project-db.ts`. Name every object with its schema. Throws a ProjectDatabaseError, also for a
 * project that has no database yet. `work` is also told where and as whom, which holds the password that is in
 * force: never log it. Read the project's row shortly before: its credentials can change.
 */
export async function useProjectDatabase<Result>(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	project: Project,
	work: (client: ProjectDatabaseClient, target: ProjectDatabaseTarget) => Promise<Result>,
): Promise<Result> {
	const [first, ...others] = projectTargets(ctx, project);
	let found: unknown;
	for (const target of [first, ...others]) {
		try {
			return await ctx.projectDatabases.use(target, (client) => work(client, target));
		} catch (error) {
			if (!(error instanceof ProjectDatabaseError) || error.reason !== "authentication_failed") throw error;
			found = error;
		}
	}
	throw project.origin === "external" ? found : asPassing(found);
}

/** Where the project's database is for us, and as whom we go there. Holds the password: never log it. */
export function projectTarget(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	project: Project,
): ProjectDatabaseTarget {
	return projectTargets(ctx, project)[0];
}

/** While a rotation runs there are two passwords, one of which is in force. */
function projectTargets(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	project: Project,
): [ProjectDatabaseTarget, ...ProjectDatabaseTarget[]] {
	if (project.origin === "external") {
		const { directUrl } = openExternalCredentials(ctx.vault, project);
		const { applicationName: _theirs, ...target } = parseProjectUrl(directUrl, "direct_url");
		return [{ ...target, isTenantNamed: true }];
	}
	const { password, nextPassword } = openCreatedCredentials(ctx.vault, project);
	const target = {
		...ctx.projectDatabases.clusterAddress(),
		user: project.roleName,
		password,
		database: project.databaseName,
		options: null,
		isTenantNamed: false,
	};
	return nextPassword === null ? [target] : [target, { ...target, password: nextPassword }];
}

/** The password of a role that we made is ours: when it is refused, it has just changed or will be set again. */
function asPassing(cause: unknown): ProjectDatabaseError {
	const sentence =
		"The project's database refused the project's role; its credentials may just have changed.";
	return new ProjectDatabaseError("could_not_connect", sentence, cause);
}
