import type { Context } from "../context.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import type { EndpointHealth, WebhookEndpoint } from "./endpoint.ts";

/** An organization's endpoints, newest first; with a limit, one row more than asked for. */
export function listEndpoints(
	ctx: Pick<Context, "stores">,
	input: { organizationId: OrganizationId; page: { limit: number | null; before: EndpointId | null } },
): Promise<{ endpoint: WebhookEndpoint; health: EndpointHealth }[]> {
	return ctx.stores.endpoints.list(input.organizationId, input.page);
}
