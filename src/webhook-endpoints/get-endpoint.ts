import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EndpointId } from "../core/ids.ts";
import type { EndpointHealth, WebhookEndpoint } from "./endpoint.ts";

/** An endpoint with what its last attempts said. */
export async function getEndpoint(
	ctx: Pick<Context, "stores">,
	id: EndpointId,
): Promise<{ endpoint: WebhookEndpoint; health: EndpointHealth }> {
	const [endpoint, health] = await Promise.all([
		ctx.stores.endpoints.find(id),
		ctx.stores.endpoints.health(id),
	]);
	if (!endpoint || !health) throw notFound("webhook endpoint");
	return { endpoint, health };
}
