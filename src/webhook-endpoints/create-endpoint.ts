import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { newId, type OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { addEndpointSecret } from "./add-endpoint-secret.ts";
import { checkEndpointHeaders, checkEndpointInput } from "./check-endpoint-input.ts";
import type { EndpointInput, WebhookEndpoint } from "./endpoint.ts";
import { tooManyEndpoints } from "./errors.ts";

type Input = { organizationId: OrganizationId; endpoint: EndpointInput & { url: string }; actor: Actor };

const endpointsMax = 1_000;

/** Registers a receiver. The signing secret is returned here and never again. */
export async function createEndpoint(
	ctx: Pick<Context, "stores" | "transaction" | "webhookGuard" | "vault">,
	{ organizationId, endpoint: input, actor }: Input,
): Promise<{ endpoint: WebhookEndpoint; secret: string }> {
	checkEndpointHeaders(input);
	const { projectId = null } = await checkEndpointInput(ctx, organizationId, input);
	const id = newId("whe");
	const secretHeaders = input.secretHeaders ?? {};
	return ctx.transaction(async (tx) => {
		if ((await tx.stores.endpoints.countExclusively(organizationId)) >= endpointsMax) {
			throw tooManyEndpoints(endpointsMax);
		}
		const endpoint = await tx.stores.endpoints.insert({
			id,
			organizationId,
			projectId,
			url: input.url,
			name: input.name ?? null,
			description: input.description ?? null,
			eventTypes: input.eventTypes ?? [],
			headers: input.headers ?? {},
			secretHeaders: sealHeaders(tx.vault, id, secretHeaders),
			secretHeaderNames: Object.keys(secretHeaders),
			isActive: input.isActive ?? true,
		});
		const secret = await addEndpointSecret(tx, endpoint);
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "webhook_endpoint.created",
			actor,
			metadata: { endpoint_id: id },
		});
		return { endpoint, secret };
	});
}

/** Null when there are none. */
export function sealHeaders(
	vault: Context["vault"],
	endpointId: WebhookEndpoint["id"],
	headers: Record<string, string>,
): string | null {
	if (Object.keys(headers).length === 0) return null;
	return vault.seal(JSON.stringify(headers), { row: endpointId, column: "webhook_endpoints.secret_headers" });
}
