import { createRandom } from "../hostile/random.ts";
import { type Connecting, startConnecting } from "./connecting.ts";
import { type Inbound, startInbound } from "./inbound.ts";
import { type Publishing, startPublishing } from "./publishing.ts";
import type { Site } from "./site.ts";
import { addProject, addTenant, type Tenant } from "./tenants.ts";

/** All that is asked of the replicas at once, and what they acknowledged. */
export type Load = {
	tenant: Tenant;
	publishing: Publishing;
	inbound: Inbound;
	connecting: Connecting[];
	/** Asks nothing more, and waits until all that was asked is acknowledged. */
	stop(): Promise<void>;
};

/** Publishes, sends webhooks, and connects and disconnects an integration with each of these providers. */
export async function startLoad(
	site: Site,
	seed: number,
	providers: readonly Connecting["provider"][] = [],
): Promise<Load> {
	const tenant = await addTenant(site);
	const mirrored = await addProject(site, tenant, "mirrored");
	const projects = await Promise.all(
		providers.map(async (provider) => ({ provider, id: await addProject(site, tenant, provider) })),
	);
	const inbound = await startInbound(site, tenant, mirrored, createRandom(seed + 1_000));
	const publishing = startPublishing(site, tenant, createRandom(seed + 2_000));
	const connecting = projects.map(({ provider, id }) => startConnecting(site, tenant, provider, id));
	return {
		tenant,
		publishing,
		inbound,
		connecting,
		stop: async () => {
			await Promise.all([publishing, inbound, ...connecting].map((part) => part.stop()));
		},
	};
}
