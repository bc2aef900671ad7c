import { ProviderError } from "../providers/errors.ts";
import type { AuthProvider, Credentials } from "../providers/provider.ts";
import { fromProviderError } from "./errors.ts";

/**
 * Asks the provider whether it takes the credentials, and whose they are. Throws a 400 when it refuses them and
 * a 502 when it cannot be asked.
 */
export async function checkCredentials(
	provider: AuthProvider,
	credentials: Credentials,
): Promise<{ externalId: string | null }> {
	try {
		return await provider.identify(credentials);
	} catch (error) {
		throw error instanceof ProviderError ? fromProviderError(error) : error;
	}
}
