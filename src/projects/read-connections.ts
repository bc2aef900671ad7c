import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { type Connections, clusterConnections } from "./cluster-connections.ts";
import { openCreatedCredentials, openExternalCredentials } from "./credentials.ts";
import { projectNotReady } from "./errors.ts";
import type { Project } from "./project.ts";

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
export function projectConnections(ctx: Parts, project: Project): Connections {
	const username = project.roleName;
	if (project.origin === "external") return { username, ...openExternalCredentials(ctx.vault, project) };
	const { password } = openCreatedCredentials(ctx.vault, project);
	return clusterConnections(ctx.projectDatabases, { name: project.databaseName, password });
}
