import type { Context } from "../context.ts";
import type { OrganizationId, ProjectId } from "../core/ids.ts";
import type { Project } from "./project.ts";

/** The projects that are not gone, newest first; with a limit, one row more than asked for. */
export function listProjects(
	ctx: Pick<Context, "stores">,
	input: {
		of: { organizationId: OrganizationId | null; projectId: ProjectId | null };
		page: { limit: number | null; before: ProjectId | null };
	},
): Promise<Project[]> {
	return ctx.stores.projects.list(input.of, input.page);
}
