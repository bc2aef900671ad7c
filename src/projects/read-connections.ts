import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { openCreatedCredentials, openExternalCredentials } from "./credentials.ts";
import { projectNotReady } from "./errors.ts";
import type { Project } from "./project.ts";

export type Connections = { username: string; pooledUrl: string; directUrl: string };

type Parts = Pick<Context, "vault" | "projectDatabases">;

/** What a customer connects with; writes down who read it. Throws a 409 until the project is ready. */
export async function readConnections(
	ctx: Parts & Pick<Context, "stores">,
	input: { projectId: ProjectId; actor: Actor },
): Promise<Connections> {
	const project = await ctx.stores.projects.find(input.projectId);
	if (!project) throw notFound("project");
	if (project.state !== "ready") throw projectNotReady();
	const { organizationId, id: projectId } = project;
	const { actor } = input;
	await recordAudit(ctx, { organizationId, projectId, action: "project.credentials_read", actor });
	return projectConnections(ctx, project);
}

/** The URLs of a project's database: a customer's own as they were given, those of ours made from its parts. */
function projectConnections(ctx: Parts, project: Project): Connections {
	const username = project.roleName;
	if (project.origin === "external") return { username, ...openExternalCredentials(ctx.vault, project) };
	const { password } = openCreatedCredentials(ctx.vault, project);
	const { host, directPort, pooledHost, pooledPort, sslMode } = ctx.projectDatabases.publicAddress();
	const url = (atHost: string, port: number) => {
		const name = atHost.includes(":") ? `[${atHost}]` : atHost;
		// libpq takes `prefer` when nothing is said; other drivers read it as more than it is.
		const query = sslMode === "prefer" ? "" : `?sslmode=${sslMode}`;
		return `postgresql://${username}:${password}@${name}:${port}/${project.databaseName}${query}`;
	};
	const directUrl = url(host, directPort);
	const hasPooler = pooledHost !== null && pooledPort !== null;
	return { username, pooledUrl: hasPooler ? url(pooledHost, pooledPort) : directUrl, directUrl };
}
