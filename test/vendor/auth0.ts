import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createTenantHosts } from "../../src/platform/guarded-connector.ts";
import { createAuth0 } from "../../src/providers/auth0/index.ts";
import { startFakeAuth0 } from "../fakes/auth0.ts";
import { refused, type Vendor } from "./check.ts";

export const auth0: Vendor = {
	name: "Auth0",
	document: "auth0/official/openapi-subset.json",
	basePath: "/api/v2",
	undocumented: { "POST /oauth/token": "of the Authentication API, which the document leaves out" },
	commonStatuses: [],
	async exercise(record) {
		const fake = await startFakeAuth0({ users: 150 });
		try {
			const resolver = async () => [{ address: "203.0.114.7", family: 4 as const }];
			const hosts = createTenantHosts(createAddressGuard({ allow: [], resolver }));
			const { listUsers, fetchUser, countUsers, identify } = createAuth0({
				origin: await record(fake.origin),
				hosts,
			});
			if (listUsers === null || fetchUser === null || countUsers === null)
				throw new Error("Auth0 has all three.");
			const { credentials } = fake;
			const options = { includePrivateMetadata: true, signal: AbortSignal.timeout(30_000) };
			await identify(credentials);
			await refused(identify({ ...credentials, client_secret: "wrong" }));
			const { users, cursor } = await listUsers(credentials, null, options);
			await listUsers(credentials, cursor, options);
			await countUsers(credentials, options.signal);
			await fetchUser(credentials, users[0]?.id ?? "", options);
			await fetchUser(credentials, "auth0|unknown", options);
			fake.failNext(429, 1, { "retry-after": "1" });
			await listUsers(credentials, null, options);
			fake.failNext(503);
			await refused(listUsers(credentials, null, options));
			fake.revokeTokens();
			await listUsers(credentials, null, options);
			fake.grantScopes([]);
			await refused(identify(credentials));
		} finally {
			await fake.close();
		}
	},
};
