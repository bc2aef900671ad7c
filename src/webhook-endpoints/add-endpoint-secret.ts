import { randomBytes } from "node:crypto";
import type { Transaction } from "../context.ts";
import { newId } from "../core/ids.ts";
import type { WebhookEndpoint } from "./endpoint.ts";

/** Gives an endpoint a new signing secret: `whsec_` and the base64 of 32 random bytes. Returned this once. */
export async function addEndpointSecret(
	tx: Pick<Transaction, "stores" | "vault">,
	endpoint: Pick<WebhookEndpoint, "id" | "organizationId">,
): Promise<string> {
	const id = newId("src");
	const secret = `whsec_${randomBytes(32).toString("base64")}`;
	await tx.stores.endpoints.insertSecret({
		id,
		organizationId: endpoint.organizationId,
		endpointId: endpoint.id,
		secret: tx.vault.seal(secret, { row: id, column: "endpoint_secrets.secret" }),
	});
	return secret;
}
