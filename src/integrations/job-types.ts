import type { JobType } from "../jobs/job-type.ts";
import { backfillUsers } from "./backfill-users.ts";
import { disconnectIntegration } from "./disconnect-integration.ts";
import { backfillType } from "./enqueue-backfill.ts";
import type { EventView } from "./integration-event.ts";

/** The jobs of integrations: disconnecting, and a backfill for each provider that lists its users. */
export function integrationJobTypes(view: EventView): Record<string, JobType> {
	const backfills = view.providers.auth
		.filter((provider) => provider.listUsers !== null)
		.map((provider) => [backfillType(provider.id), backfillUsers(view, provider)] as const);
	return { "integration.disconnect": disconnectIntegration(view), ...Object.fromEntries(backfills) };
}
