import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { AppError, notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { jobAlreadyOpen } from "../jobs/errors.ts";
import type { Job } from "../jobs/job.ts";
import type { AuthProvider } from "../providers/provider.ts";
import { enqueueBackfill, resourceOf } from "./enqueue-backfill.ts";
import { integrationDisabled } from "./errors.ts";
import { getIntegration } from "./get-integration.ts";

type Input = { projectId: ProjectId; provider: AuthProvider; actor: Actor };

/**
 * Queues a backfill of all users. Throws a 404 without an integration, a 409 while a job of it is queued or
 * running or it is disabled, and a 400 when there is nothing to ask the provider with.
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
		if (provider.listUsers === null || integration.credentials === null) throw nothingToAskWith(provider);
		const job = await enqueueBackfill(tx, integration);
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

function nothingToAskWith(provider: AuthProvider): AppError {
	const keys = provider.credentialKeys.filter((key) => key !== "webhook_signing_secret");
	const sentence =
		provider.listUsers === null || keys.length === 0
			? `${provider.displayName} has no list of users to read: its webhooks bring them.`
			: `Give the credentials ${keys.map((key) => `\`${key}\``).join(", ")} first: without them no users can be read.`;
	return new AppError("invalid", "integration.no_credentials", sentence);
}
