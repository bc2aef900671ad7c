import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createTenantHosts } from "../../src/platform/guarded-connector.ts";
import { createProviders } from "../../src/providers/all.ts";
import { createRegistry } from "../../src/providers/registry.ts";

/** Nothing listens there: the contract asks nothing of a provider. */
const nowhere = "http://127.0.0.1:9";

/** Every provider of this server, out of reach of its vendor. */
export const registry = createRegistry(
	createProviders({
		vercelOrigin: nowhere,
		vercelOAuth: null,
		netlifyOrigin: nowhere,
		netlifyOAuth: null,
		clerkOrigin: nowhere,
		auth0Origin: nowhere,
		tenantHosts: createTenantHosts(createAddressGuard({ allow: [] })),
	}),
);
