import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import { notFound } from "../core/errors.ts";
import { newId, type ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import { publishEvents } from "../events/publish-events.ts";
import type { Job } from "../jobs/job.ts";
import type { AuthProvider, Credentials } from "../providers/provider.ts";
import { checkCredentials } from "./check-credentials.ts";
import { enqueueBackfill } from "./enqueue-backfill.ts";
import { projectIsBeingDeleted } from "./errors.ts";
import type { Integration } from "./integration.ts";
import { integrationEvent } from "./integration-event.ts";
import { sealCredentials, sealSigningSecret } from "./integration-secrets.ts";

type Input = {
	projectId: ProjectId;
	provider: AuthProvider;
	credentials: Credentials;
	/** Absent: the stored one stays. */
	signingSecret?: string;
	actor: Actor;
};

/**
 * Connects a project to an auth provider and queues the backfill of its users. The credentials are checked at the
 * provider before anything is saved. Connecting again keeps the integration and replaces its credentials. Throws a
 * 400 when the provider refuses, a 502 when it is down.
 */
export async function connectIntegration(
	ctx: Pick<Context, "transaction" | "publicUrl" | "providers">,
	{ projectId, provider, credentials, signingSecret, actor }: Input,
): Promise<{ integration: Integration; job: Job }> {
	const { externalId } = await checkCredentials(provider, credentials);
	return ctx.transaction(async (tx) => {
		const project = await tx.stores.projects.findForUpdate(projectId);
		if (!project) throw notFound("project");
		if (project.state === "deleting") throw projectIsBeingDeleted();
		const { organizationId } = project;
		const fresh = { id: newId("int"), organizationId, projectId, provider: provider.id };
		const { integration: found } = await tx.stores.integrations.claim(fresh);
		const integration = await tx.stores.integrations.update(
			found.id,
			{
				state: "active",
				externalId,
				credentials: sealCredentials(tx.vault, found, credentials),
				...(signingSecret === undefined
					? {}
					: { signingSecrets: sealSigningSecret(tx, found, { provider, secret: signingSecret }) }),
			},
			{ drop: ["lastError", "applyError", "applyFailures", "heldChanges", "refusedChanges"] },
		);
		const job = await enqueueBackfill(tx, integration);
		const metadata = { integration_id: integration.id, provider: provider.id };
		await recordAudit(tx, {
			organizationId,
			projectId,
			action: "project.integration.connected",
			actor,
			metadata,
		});
		await publishEvents(tx, [integrationEvent(ctx, integration, "integration.connected")]);
		return { integration, job };
	});
}
