import type { Context, Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { numeral } from "../core/numeral.ts";
import type { NewEvent } from "../events/event.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { countSyncedUsers } from "../user-sync/count-synced-users.ts";
import { ensureAuthSchema } from "../user-sync/ensure-auth-schema.ts";
import { confirmInstance } from "./confirm-instance.ts";
import { enqueueBackfill } from "./enqueue-backfill.ts";
import { integrationDisabled } from "./errors.ts";
import type { EventView } from "./integration-event.ts";
import { integrationIdOf, loadTarget } from "./integration-job.ts";
import { callCredentials } from "./integration-secrets.ts";
import { noteFailure } from "./note-failure.ts";

/**
 * Compares how many users the provider has with how many stand in `capydb_auth.users`, says what it found, and
 * queues a backfill when they differ or when tables had been dropped. Publishes no user events.
 */
export function reconcileUsers(view: EventView, provider: AuthProvider): JobType {
	return {
		run: (ctx, run) => reconcile(ctx, run, provider),
		failed: (tx, job, sentence) => noteFailure(tx, view, integrationIdOf(job), sentence),
	};
}

async function reconcile(ctx: Context, run: JobRun, provider: AuthProvider): Promise<Settlement> {
	const { integration, project } = await loadTarget(ctx, run.job);
	if (integration.state === "disabled") throw integrationDisabled();
	if (provider.countUsers === null) throw new Error(`${provider.id} does not count its users.`);
	await confirmInstance(ctx, provider, integration);
	const { wasMissing } = await ensureAuthSchema(ctx, project);
	const there = await provider.countUsers(callCredentials(ctx, integration), run.signal);
	const here = await countSyncedUsers(ctx, project, provider.id);
	const leftOut = integration.status.usersLeftOut ?? 0;
	run.say(`${provider.displayName} has ${numeral(there)} users, capydb_auth.users has ${numeral(here)}`);
	if (leftOut > 0) run.say(`${numeral(leftOut)} users were left out by the last backfill`);
	if (wasMissing) run.say("made tables or columns again that had been dropped");
	const agrees = !wasMissing && there === here + leftOut;
	run.say(agrees ? "nothing is missing" : "queued a backfill");
	return (tx) => settle(tx, integration.id, agrees);
}

async function settle(tx: Transaction, id: IntegrationId, agrees: boolean): Promise<NewEvent[]> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration || integration.deletedAt || integration.state === "disabled") return [];
	if (!agrees) await enqueueBackfill(tx, integration);
	else if (integration.state === "error") {
		await tx.stores.integrations.update(id, { state: "active" }, { drop: ["lastError"] });
	}
	return [];
}
