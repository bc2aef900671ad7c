import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; actor: Actor };

/** Removes the endpoint with its secrets and drops what still waited for it. */
export async function deleteEndpoint(ctx: Pick<Context, "transaction">, input: Input): Promise<void> {
	const { organizationId, endpointId, actor } = input;
	await ctx.transaction(async (tx) => {
		// Deliveries before the endpoint: settling takes its locks in the same order.
		const dropped = await tx.stores.deliveries.dropPending(endpointId);
		if (!(await tx.stores.endpoints.delete(endpointId))) throw notFound("webhook endpoint");
		await recordAudit(tx, {
			organizationId,
			action: "webhook_endpoint.deleted",
			actor,
			metadata: { endpoint_id: endpointId, dropped_deliveries: dropped },
		});
	});
}
