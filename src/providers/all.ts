import { createClerk } from "./clerk/index.ts";
import { createNetlify } from "./netlify/index.ts";
import type { Provider } from "./registry.ts";
import { createVercel } from "./vercel/index.ts";

/** Origins of the vendors' APIs, without a path. */
export type ProviderOrigins = { clerkOrigin: string; vercelOrigin: string; netlifyOrigin: string };

/** Every provider of this server, one line each. */
export function createProviders(origins: ProviderOrigins): Provider[] {
	return [
		createVercel({ origin: origins.vercelOrigin, oauth: null }),
		createNetlify({ origin: origins.netlifyOrigin, oauth: null }),
		createClerk({ origin: origins.clerkOrigin }),
	];
}
