import { createClerk } from "../../src/providers/clerk/index.ts";
import { startFakeClerk } from "../fakes/clerk.ts";
import { refused, type Vendor } from "./check.ts";

export const clerk: Vendor = {
	name: "Clerk",
	document: "clerk/official/openapi-subset.json",
	basePath: "/v1",
	undocumented: {},
	// Given by every operation, and listed for some.
	commonStatuses: [401, 429],
	async exercise(record) {
		const fake = await startFakeClerk({ users: 600 });
		try {
			const { identify, listUsers } = createClerk({ origin: await record(fake.origin) });
			if (listUsers === null) throw new Error("Clerk lists its users.");
			const credentials = { secret_key: fake.secretKey };
			const options = { includePrivateMetadata: true, signal: AbortSignal.timeout(30_000) };
			await identify(credentials);
			await refused(identify({ secret_key: "sk_test_wrong" }));
			const { cursor } = await listUsers(credentials, null, options);
			await listUsers(credentials, cursor, options);
			fake.failNext(429);
			await refused(listUsers(credentials, null, options));
		} finally {
			await fake.close();
		}
	},
};
