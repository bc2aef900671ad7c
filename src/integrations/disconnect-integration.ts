import type { Context, Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import type { NewEvent } from "../events/event.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import { type EventView, integrationEvent } from "./integration-event.ts";
import { cleanUpPlatform } from "./platforms/clean-up-platform.ts";
import { deploymentProviderOf } from "./platforms/open-platform.ts";

/**
 * Cleans up after a deleted integration: first what we made at its platform, then its row goes, with the credentials
 * and signing secrets in it.
 */
export function disconnectIntegration(view: EventView): JobType {
	return { run: (ctx, run) => disconnect(ctx, run, view) };
}

async function disconnect(ctx: Context, run: JobRun, view: EventView): Promise<Settlement> {
	const id = run.job.input.integration_id as IntegrationId;
	const integration = await ctx.stores.integrations.find(id);
	const provider = integration && deploymentProviderOf(ctx, integration);
	if (provider) await cleanUpPlatform(ctx, run, { integration, provider });
	if (integration) run.say(`erased the credentials of ${integration.provider} (${id})`);
	return (tx) => erase(tx, view, id);
}

async function erase(tx: Transaction, view: EventView, id: IntegrationId): Promise<NewEvent[]> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration) return [];
	await tx.stores.pushedVariables.removeAll(id);
	await tx.stores.integrations.remove(id);
	const erased = { ...integration, credentials: null, signingSecrets: null };
	return [integrationEvent(view, erased, "integration.disconnected")];
}
