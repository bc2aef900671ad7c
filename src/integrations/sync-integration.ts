import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { enqueuePush } from "../env-sync/enqueue-push.ts";
import { jobAlreadyOpen } from "../jobs/errors.ts";
import type { Job } from "../jobs/job.ts";
import type { AuthProvider } from "../providers/provider.ts";
import type { Provider } from "../providers/registry.ts";
import { enqueueBackfill } from "./enqueue-backfill.ts";
import { resourceOf } from "./enqueue-work.ts";
import { integrationDisabled } from "./errors.ts";
import { getIntegration } from "./get-integration.ts";
import type { Integration } from "./integration.ts";
import { targetMissing, tokenMissing } from "./platforms/errors.ts";

type Input = { projectId: ProjectId; provider: Provider; actor: Actor };

/**
 * Queues a push of the project's URLs to a platform, or a backfill of all users. Throws a 404 without an integration,
 * a 409 while a job of it is queued or running or it is disabled, and a 400 when there is nothing to ask the provider
 * with.
 */
export async function syncIntegration(
	ctx: Pick<Context, "stores" | "transaction">,
	input: Input,
): Promise<Job> {
	const { projectId, provider, actor } = input;
	const { id } = await getIntegration(ctx, input);
	return ctx.transaction(async (tx) => {
		const integration = await tx.stores.integrations.findForUpdate(id);
		if (!integration || integration.deletedAt) throw notFound("integration");
		const open = await tx.stores.jobs.listOpen(resourceOf(integration));
		if (open.length > 0) throw jobAlreadyOpen();
		if (integration.state === "disabled") throw integrationDisabled();
		const job = await enqueue(tx, integration, provider);
		const { organizationId } = integration;
		const metadata = { integration_id: id, provider: provider.id, job_id: job.id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.integration.synced",
			actor,
			metadata,
		});
		return job;
	});
}

async function enqueue(tx: Transaction, integration: Integration, provider: Provider): Promise<Job> {
	if (provider.kind === "auth") {
		if (provider.listUsers === null || integration.credentials === null) throw nothingToAskWith(provider);
		return enqueueBackfill(tx, integration);
	}
	if (integration.credentials === null) throw tokenMissing(provider);
	if (integration.externalId === null) throw targetMissing(provider);
	return enqueuePush(tx, integration);
}

function nothingToAskWith(provider: AuthProvider): AppError {
	const keys = provider.credentialKeys.filter((key) => key !== "webhook_signing_secret");
	const sentence =
		provider.listUsers === null || keys.length === 0
			? `${provider.displayName} has no list of users to read: its webhooks bring them.`
			: `Give the credentials ${keys.map((key) => `\`${key}\``).join(", ")} first: without them no users can be read.`;
	return new AppError("invalid", "integration.no_credentials", sentence);
}
