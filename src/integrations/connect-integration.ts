import type { Context } from "../context.ts";
import type { ProjectId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";
import type { Job } from "../jobs/job.ts";
import type { AuthProvider, Credentials } from "../providers/provider.ts";
import { announceConnected } from "./announce-connected.ts";
import { checkCredentials } from "./check-credentials.ts";
import { claimIntegration } from "./claim-integration.ts";
import { enqueueBackfill } from "./enqueue-backfill.ts";
import type { Integration } from "./integration.ts";
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
		const { integration: found } = await claimIntegration(tx, projectId, provider);
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
		if (found.status.applyError !== undefined) {
			const options = { singletonKey: found.id, movesWaiting: true };
			await tx.tasks.send("inbound.apply", { integrationId: found.id }, options);
		}
		const job = await enqueueBackfill(tx, integration);
		await announceConnected(ctx, tx, integration, actor);
		return { integration, job };
	});
}
