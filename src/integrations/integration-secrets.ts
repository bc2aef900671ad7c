import type { Clock } from "../core/clock.ts";
import type { Vault } from "../platform/vault.ts";
import type { DeploymentProvider } from "../providers/deployment-provider.ts";
import type { AuthProvider, Credentials } from "../providers/provider.ts";
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

/** What a provider is called with: the credentials, and the signing secret, which signs our calls to some. */
export function callCredentials(
	ctx: { vault: Vault; clock: Pick<Clock, "now"> },
	integration: Pick<Integration, "id" | "credentials" | "signingSecrets">,
): Credentials {
	const [newest] = liveSigningSecrets(ctx.vault, integration, ctx.clock.now());
	const signing = newest === undefined ? {} : { webhook_signing_secret: newest };
	return { ...openCredentials(ctx.vault, integration), ...signing };
}

type SecretHolder = Pick<AuthProvider, "kind" | "refusalsAreFinal"> | Pick<DeploymentProvider, "kind">;

const graceMs = 60 * 60 * 1000;
/** However often a secret is changed within the hour. */
const secretsMax = 10;

/**
 * Seals the secret that counts from now on. Where the provider takes a refusal as final, those that counted until
 * now stay good for an hour, for what is on its way and until the new one is entered there.
 */
export function sealSigningSecret(
	ctx: { vault: Vault; clock: Pick<Clock, "now"> },
	integration: Pick<Integration, "id" | "signingSecrets">,
	{ provider, secret }: { provider: SecretHolder; secret: string },
): string {
	const now = ctx.clock.now();
	const until = new Date(now.getTime() + graceMs).toISOString();
	const earlier =
		provider.kind === "auth" && provider.refusalsAreFinal ? openSigningSecrets(ctx.vault, integration) : [];
	const kept = earlier
		.filter((each) => each.secret !== secret && countsAt(each, now))
		.map((each) => ({ secret: each.secret, until: each.until ?? until }));
	const secrets: SigningSecret[] = [{ secret, until: null }, ...kept].slice(0, secretsMax);
	return ctx.vault.seal(JSON.stringify(secrets), placeOf(integration));
}

/** The secrets that a webhook may be signed with now, newest first. */
export function liveSigningSecrets(
	vault: Vault,
	integration: Pick<Integration, "id" | "signingSecrets">,
	now: Date,
): string[] {
	return liveAt(openSigningSecrets(vault, integration), now);
}

export function liveAt(secrets: readonly SigningSecret[], now: Date): string[] {
	return secrets.filter((each) => countsAt(each, now)).map(({ secret }) => secret);
}

/** All that are kept, also those whose time is over. */
export function openSigningSecrets(
	vault: Vault,
	integration: Pick<Integration, "id" | "signingSecrets">,
): SigningSecret[] {
	if (integration.signingSecrets === null) return [];
	return JSON.parse(vault.open(integration.signingSecrets, placeOf(integration)));
}

function countsAt({ until }: SigningSecret, now: Date): boolean {
	return until === null || new Date(until) > now;
}

function placeOf({ id }: Pick<Integration, "id">) {
	return { row: id, column: "integrations.signing_secrets" };
}
