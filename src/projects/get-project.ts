import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Project } from "./project.ts";

export async function getProject(ctx: Pick<Context, "stores">, id: ProjectId): Promise<Project> {
	const project = await ctx.stores.projects.find(id);
	if (!project) throw notFound("project");
	return project;
}
