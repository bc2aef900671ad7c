import type { TenantHosts } from "../http.ts";
import type { AuthProvider } from "../provider.ts";
import { createBetterAuthClient } from "./client.ts";
import { interpret, readWebhook, verifyWebhook } from "./webhook.ts";

/**
 * Better Auth: a library in the customer's own application, which the plugin beside this connects to us. `hosts`
 * guards the way to that application.
 */
export function createBetterAuth(options: { hosts: TenantHosts }): AuthProvider {
	const client = createBetterAuthClient(options);
	return {
		kind: "auth",
		id: "better_auth",
		pathNames: ["better-auth", "better_auth"],
		displayName: "Better Auth",
		connectBody: null,
		credentialKeys: ["export_url", "webhook_signing_secret"],
		identify: client.identify,
		verifyWebhook,
		refusalsAreFinal: false,
		readWebhook,
		interpret,
		// An application may import a user again under the old id.
		deletesAreFinal: false,
		listUsers: client.listUsers,
		listLagMs: 0,
		countUsers: null,
		fetchUser: null,
	};
}
