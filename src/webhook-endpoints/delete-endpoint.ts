import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; actor: Actor };

/** As many go with the endpoint at once; to whom more wait, nothing of it is sent or shown, and maintenance drops it. */
const droppedMax = 1_000;

/** Removes the endpoint with its secrets and drops what still waited for it. */
export async function deleteEndpoint(ctx: Pick<Context, "transaction">, input: Input): Promise<void> {
	const { organizationId, endpointId, actor } = input;
	await ctx.transaction(async (tx) => {
		// Deliveries before the endpoint: settling takes its locks in the same order.
		const dropped = await tx.stores.deliveries.dropPending(endpointId, droppedMax);
		if (!(await tx.stores.endpoints.delete(endpointId))) throw notFound("webhook endpoint");
		await recordAudit(tx, {
			organizationId,
			action: "webhook_endpoint.deleted",
			actor,
			metadata: {
				endpoint_id: endpointId,
				dropped_deliveries: dropped,
				...(dropped === droppedMax && { drops_more: true }),
			},
		});
	});
}
