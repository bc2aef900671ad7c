import { createAuth0 } from "./auth0/index.ts";
import { createBetterAuth } from "./better-auth/index.ts";
import { createClerk } from "./clerk/index.ts";
import type { TenantHosts } from "./http.ts";
import { createNetlify, type NetlifyOptions } from "./netlify/index.ts";
import type { Provider } from "./registry.ts";
import { createVercel, type VercelOptions } from "./vercel/index.ts";

/**
 * Origins of the vendors' APIs, without a path, the operator's own clients there, and the way to the hosts that
 * tenants name.
 */
export type ProviderOptions = {
	clerkOrigin: string;
	/** Null: each tenant's own domain is called. */
	auth0Origin: string | null;
	vercelOrigin: string;
	vercelOAuth: VercelOptions["oauth"];
	netlifyOrigin: string;
	netlifyOAuth: NetlifyOptions["oauth"];
	tenantHosts: TenantHosts;
};

/** Every provider of this server, one line each. */
export function createProviders(options: ProviderOptions): Provider[] {
	return [
		createVercel({ origin: options.vercelOrigin, oauth: options.vercelOAuth }),
		createNetlify({ origin: options.netlifyOrigin, oauth: options.netlifyOAuth }),
		createClerk({ origin: options.clerkOrigin }),
		createAuth0({ origin: options.auth0Origin, hosts: options.tenantHosts }),
		createBetterAuth({ hosts: options.tenantHosts }),
	];
}
