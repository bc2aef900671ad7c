import type { Vault } from "../platform/vault.ts";
import type { Credentials } from "../providers/provider.ts";
import type { Integration, SigningSecret } from "./integration.ts";

export function sealCredentials(
	vault: Vault,
	integration: Pick<Integration, "id">,
	credentials: Credentials,
): string {
	return vault.seal(JSON.stringify(credentials), { row: integration.id, column: "integrations.credentials" });
}

export function openCredentials(
	vault: Vault,
	integration: Pick<Integration, "id" | "credentials">,
): Credentials {
	if (integration.credentials === null) return {};
	return JSON.parse(
		vault.open(integration.credentials, { row: integration.id, column: "integrations.credentials" }),
	);
}

/** Seals the one secret that counts from now on. */
export function sealSigningSecret(
	vault: Vault,
	integration: Pick<Integration, "id">,
	secret: string,
): string {
	const secrets: SigningSecret[] = [{ secret, until: null }];
	return vault.seal(JSON.stringify(secrets), { row: integration.id, column: "integrations.signing_secrets" });
}

/** The secrets that a webhook may be signed with now, newest first. */
export function liveSigningSecrets(
	vault: Vault,
	integration: Pick<Integration, "id" | "signingSecrets">,
	now: Date,
): string[] {
	if (integration.signingSecrets === null) return [];
	const place = { row: integration.id, column: "integrations.signing_secrets" };
	const secrets: SigningSecret[] = JSON.parse(vault.open(integration.signingSecrets, place));
	return secrets.filter(({ until }) => until === null || new Date(until) > now).map(({ secret }) => secret);
}
