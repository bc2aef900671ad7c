import type { Transaction } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { newId, type ProjectId } from "../core/ids.ts";
import { projectDeleting } from "../projects/errors.ts";
import type { Integration } from "./integration.ts";

/**
 * The project's integration with this provider, made when there is none; both locked. Throws a 404, and a 409 for a
 * project on its way out.
 */
export async function claimIntegration(
	tx: Transaction,
	projectId: ProjectId,
	provider: { id: string },
): Promise<{ integration: Integration; isNew: boolean }> {
	const project = await tx.stores.projects.findForUpdate(projectId);
	if (!project) throw notFound("project");
	if (project.state === "deleting") throw projectDeleting();
	const { organizationId } = project;
	const fresh = { id: newId("int"), organizationId, projectId, provider: provider.id };
	return tx.stores.integrations.claim(fresh);
}
