import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { EndpointId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { checkEndpointHeaders, checkEndpointInput } from "./check-endpoint-input.ts";
import { sealHeaders } from "./create-endpoint.ts";
import type { EndpointInput, WebhookEndpoint } from "./endpoint.ts";

type Input = { organizationId: OrganizationId; endpointId: EndpointId; changes: EndpointInput; actor: Actor };

/** Changes the fields that are given; the next send goes by them. What waited while inactive goes on. */
export async function updateEndpoint(
	ctx: Pick<Context, "stores" | "transaction" | "webhookGuard" | "vault">,
	{ organizationId, endpointId, changes, actor }: Input,
): Promise<WebhookEndpoint> {
	const checked = await checkEndpointInput(ctx, organizationId, changes);
	const { secretHeaders, projectId: _projectId, ...plain } = changes;
	return ctx.transaction(async (tx) => {
		// Both held before anything is judged by them: settling may disable the endpoint just now, and another change
		// may set the other headers. In the order in which settling takes them.
		if (changes.isActive) await tx.stores.endpoints.lockHealth(endpointId);
		const current = await tx.stores.endpoints.lock(endpointId);
		if (!current) throw notFound("webhook endpoint");
		checkEndpointHeaders(changes, current);
		if (changes.isActive && !current.isActive) await tx.stores.endpoints.forgiveFailures(endpointId);
		const endpoint = await tx.stores.endpoints.update(endpointId, {
			...plain,
			...checked,
			...(changes.isActive === undefined
				? {}
				: { disabledReason: changes.isActive ? null : current.disabledReason }),
			...(secretHeaders === undefined
				? {}
				: {
						secretHeaders: sealHeaders(tx.vault, endpointId, secretHeaders),
						secretHeaderNames: Object.keys(secretHeaders),
					}),
		});
		if (!endpoint) throw notFound("webhook endpoint");
		await recordAudit(tx, {
			organizationId,
			projectId: endpoint.projectId,
			action: "webhook_endpoint.updated",
			actor,
			metadata: { endpoint_id: endpointId, fields: Object.keys(changes) },
		});
		if (endpoint.isActive) tx.wakeDeliveries([endpointId]);
		return endpoint;
	});
}
