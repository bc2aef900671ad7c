import { ProviderError } from "../errors.ts";
import type { Credentials } from "../provider.ts";

export const provider = "Auth0";

/** A machine-to-machine client of one tenant. */
export type TenantClient = { domain: string; clientId: string; clientSecret: string };

/** A host name with at least two labels, the last of which is none of an address. */
const hostName = /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/i;

/** Throws ProviderError when one of the three is missing or the domain is no host name. */
export function readTenantClient(credentials: Credentials): TenantClient {
	const { domain, client_id: clientId, client_secret: clientSecret } = credentials;
	if (!domain || !clientId || !clientSecret) {
		const sentence =
			"Give `credentials.domain`, `credentials.client_id` and `credentials.client_secret` together.";
		throw new ProviderError("invalid_request", sentence, { provider });
	}
	if (!hostName.test(domain)) {
		const sentence = "`credentials.domain` must be the tenant's host name alone, as in acme.eu.auth0.com.";
		throw new ProviderError("invalid_request", sentence, { provider });
	}
	return { domain: domain.toLowerCase(), clientId, clientSecret };
}

/** The tenant's name as its events give it; null where the domain does not tell, as a custom one. */
export function tenantNameOf(domain: string): string | null {
	return /^([a-z0-9-]+)(?:\.[a-z]{2}(?:-\d+)?)?\.auth0\.com$/.exec(domain)?.[1] ?? null;
}
