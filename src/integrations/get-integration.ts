import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Provider } from "../providers/registry.ts";
import type { Integration } from "./integration.ts";

/** Throws a 404 when the project has no integration with this provider. */
export async function getIntegration(
	ctx: Pick<Context, "stores">,
	input: { projectId: ProjectId; provider: Pick<Provider, "id"> },
): Promise<Integration> {
	const integration = await ctx.stores.integrations.findByProvider(input.projectId, input.provider.id);
	if (!integration) throw notFound("integration");
	return integration;
}
