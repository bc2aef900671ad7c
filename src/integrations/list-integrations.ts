import type { Context } from "../context.ts";
import type { IntegrationId, ProjectId } from "../core/ids.ts";
import type { Integration } from "./integration.ts";

/** A project's integrations, newest first; all of them without a limit, else one row more than that. */
export function listIntegrations(
	ctx: Pick<Context, "stores">,
	input: { projectId: ProjectId; page: { limit: number | null; before: IntegrationId | null } },
): Promise<Integration[]> {
	return ctx.stores.integrations.list(input.projectId, input.page);
}
