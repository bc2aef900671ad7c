import { createClerk } from "./clerk/index.ts";
import type { AuthProvider } from "./provider.ts";

/** Origins of the vendors' APIs, without a path. */
export type ProviderOrigins = { clerkOrigin: string };

/** Every provider of this server, one line each. */
export function createProviders(origins: ProviderOrigins): AuthProvider[] {
	return [createClerk({ origin: origins.clerkOrigin })];
}
