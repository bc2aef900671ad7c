import type { TenantHosts } from "../http.ts";
import type { AuthProvider } from "../provider.ts";
import { createAuth0Client } from "./client.ts";
import { interpret, readWebhook, verifyWebhook } from "./webhook.ts";

/** Auth0's search, which lists the users, lags behind writes: by seconds, as a rule, which nobody promises. */
const searchLagMs = 10 * 60 * 1000;

/**
 * Auth0. `origin` is called in place of every tenant's own domain when the operator names it; `hosts` stand before
 * those domains.
 */
export function createAuth0(options: { origin: string | null; hosts: TenantHosts }): AuthProvider {
	const client = createAuth0Client(options);
	return {
		kind: "auth",
		id: "auth0",
		pathNames: ["auth0"],
		displayName: "Auth0",
		connectBody: null,
		credentialKeys: ["domain", "client_id", "client_secret", "webhook_signing_secret"],
		identify: client.identify,
		verifyWebhook,
		refusalsAreFinal: true,
		readWebhook,
		interpret,
		// An import can give an id out again.
		deletesAreFinal: false,
		listUsers: client.listUsers,
		listLagMs: searchLagMs,
		countUsers: client.countUsers,
		fetchUser: client.fetchUser,
	};
}
