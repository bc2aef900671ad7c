import type { JobType } from "../jobs/job-type.ts";
import { backfillUsers } from "./backfill-users.ts";
import { disconnectIntegration } from "./disconnect-integration.ts";
import { backfillType, reconciliationType } from "./enqueue-backfill.ts";
import type { EventView } from "./integration-event.ts";
import { reconcileUsers } from "./reconcile-users.ts";

/** The jobs of integrations: disconnecting; a backfill and a reconciliation where the provider lists and counts. */
export function integrationJobTypes(view: EventView): Record<string, JobType> {
	const backfills = view.providers.auth
		.filter((provider) => provider.listUsers !== null)
		.map((provider) => [backfillType(provider.id), backfillUsers(view, provider)] as const);
	const reconciliations = view.providers.auth
		.filter((provider) => provider.countUsers !== null)
		.map((provider) => [reconciliationType(provider.id), reconcileUsers(view, provider)] as const);
	const disconnect = ["integration.disconnect", disconnectIntegration(view)] as const;
	return Object.fromEntries([disconnect, ...backfills, ...reconciliations]);
}
