import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { notFound } from "../core/errors.ts";
import type { IntegrationId, ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueueJob } from "../jobs/enqueue-job.ts";
import type { Provider } from "../providers/registry.ts";
import { refillUsers } from "./enqueue-backfill.ts";
import { resourceOf } from "./enqueue-work.ts";
import type { Integration } from "./integration.ts";

type Input = { projectId: ProjectId; provider: Pick<Provider, "id">; actor: Actor };

/**
 * Takes an integration out of the API at once and queues its cleaning up. The synced users stay, and their ids are
 * free for the project's other providers, whose users are read again. Throws a 404.
 */
export async function deleteIntegration(
	ctx: Pick<Context, "transaction" | "providers">,
	input: Input,
): Promise<void> {
	const { projectId, provider, actor } = input;
	await ctx.transaction(async (tx) => {
		// Two that leave at once would each wait for the other's row.
		await tx.stores.projects.findForUpdate(projectId);
		const integration = await tx.stores.integrations.markDeleted(projectId, provider.id);
		if (!integration) throw notFound("integration");
		await enqueueDisconnect(tx, integration);
		const isPlatform = ctx.providers.deployment.some(({ id }) => id === provider.id);
		if (!isPlatform) await releaseUsers(ctx, tx, projectId);
		const { organizationId, id } = integration;
		const metadata = { integration_id: id, provider: provider.id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.integration.delete",
			actor,
			metadata,
		});
	});
}

/** The same for all integrations of a project that is being deleted, in its transaction. */
export async function disconnectIntegrations(
	tx: Pick<Transaction, "stores" | "tasks">,
	projectId: ProjectId,
): Promise<void> {
	const deleted = await tx.stores.integrations.markAllDeleted(projectId);
	for (const integration of deleted) await enqueueDisconnect(tx, integration);
}

/** What the other providers were refused is refused no more. */
async function releaseUsers(
	{ providers }: Pick<Context, "providers">,
	tx: Pick<Transaction, "stores" | "tasks">,
	projectId: ProjectId,
): Promise<void> {
	for (const { id } of await tx.stores.integrations.list(projectId, { limit: null, before: null })) {
		await tx.stores.integrations.report(id, { drop: ["heldChanges"] });
		await refillUsers(providers, tx, id);
	}
}

/** Queues the cleaning up of a disconnected integration once more, when its job has failed for good. */
export async function retryDisconnect(
	tx: Pick<Transaction, "stores" | "tasks">,
	id: IntegrationId,
): Promise<void> {
	const integration = await tx.stores.integrations.findForUpdate(id);
	if (!integration?.deletedAt) return;
	const open = await tx.stores.jobs.listOpen(resourceOf(integration));
	if (open.length > 0) return;
	// Touched, so that it is not found again before this job had its time.
	await enqueueDisconnect(tx, await tx.stores.integrations.update(id, {}));
}

async function enqueueDisconnect(
	tx: Pick<Transaction, "stores" | "tasks">,
	integration: Integration,
): Promise<void> {
	await enqueueJob(tx, {
		type: "integration.disconnect",
		organizationId: integration.organizationId,
		projectId: integration.projectId,
		lockedResource: resourceOf(integration),
		input: { integration_id: integration.id },
	});
}
