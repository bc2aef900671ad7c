import type { Context } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { Job } from "../jobs/job.ts";
import type { Project } from "../projects/project.ts";
import { integrationGone } from "./errors.ts";
import type { Integration } from "./integration.ts";

/** The integration that a job is about, and its project, as they are now. Throws a 409 when one is gone. */
export async function loadTarget(
	ctx: Pick<Context, "stores">,
	job: Job,
): Promise<{ integration: Integration; project: Project }> {
	const integration = await ctx.stores.integrations.find(integrationIdOf(job));
	if (!integration || integration.deletedAt) throw integrationGone();
	const project = await ctx.stores.projects.find(integration.projectId);
	if (!project) throw integrationGone();
	return { integration, project };
}

export function integrationIdOf(job: Job): IntegrationId {
	return job.input.integration_id as IntegrationId;
}
