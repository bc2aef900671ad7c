import type { Context } from "../context.ts";
import type { DeploymentId, ProjectId } from "../core/ids.ts";
import type { Deployment } from "./deployment.ts";

/** A project's deployments, newest first; one more than `limit`, to show whether there are more. */
export async function listDeployments(
	ctx: Pick<Context, "stores">,
	input: { projectId: ProjectId; page: { limit: number; before: DeploymentId | null } },
): Promise<Deployment[]> {
	return ctx.stores.deployments.list(input.projectId, input.page);
}
