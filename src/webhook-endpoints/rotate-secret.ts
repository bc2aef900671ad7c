import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { addEndpointSecret } from "./add-endpoint-secret.ts";
import type { WebhookEndpoint } from "./endpoint.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; graceHours: number; actor: Actor };

/** Gives the endpoint a new secret. Without grace every earlier one is dead at once; with it, both sign. */
export async function rotateSecret(
	ctx: Pick<Context, "transaction">,
	{ organizationId, endpointId, graceHours, actor }: Input,
): Promise<{ endpoint: WebhookEndpoint; secret: string }> {
	return ctx.transaction(async (tx) => {
		if (!(await tx.stores.endpoints.lock(endpointId))) throw notFound("webhook endpoint");
		await tx.stores.endpoints.retireSecrets(endpointId, Math.round(graceHours * 3600));
		const secret = await addEndpointSecret(tx, { id: endpointId, organizationId });
		const endpoint = await tx.stores.endpoints.update(endpointId, {});
		if (!endpoint) throw notFound("webhook endpoint");
		await recordAudit(tx, {
			organizationId,
			projectId: endpoint.projectId,
			action: "webhook_endpoint.secret_rotated",
			actor,
			metadata: { endpoint_id: endpointId, grace_hours: graceHours },
		});
		return { endpoint, secret };
	});
}
