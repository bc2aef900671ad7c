import type { AuthProvider, Credentials } from "../providers/provider.ts";
import { atProvider } from "./at-provider.ts";

/**
 * Asks the provider whether it takes the credentials, and whose they are. Throws a 400 when it refuses them and
 * a 502 when it cannot be asked.
 */
export function checkCredentials(
	provider: AuthProvider,
	credentials: Credentials,
): Promise<{ externalId: string | null }> {
	return atProvider(() => provider.identify(credentials));
}
