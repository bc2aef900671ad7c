import { recordAudit } from "../audit/record-audit.ts";
import type { Context, Transaction } from "../context.ts";
import type { ApiKeyId } from "../core/ids.ts";
import { enqueuePush } from "../env-sync/enqueue-push.ts";
import { publishEvents } from "../events/publish-events.ts";
import { claimIntegration } from "../integrations/claim-integration.ts";
import type { Integration, IntegrationConfig } from "../integrations/integration.ts";
import { integrationEvent } from "../integrations/integration-event.ts";
import { sealCredentials } from "../integrations/integration-secrets.ts";
import { callerGone } from "./errors.ts";
import type { OAuthPlatform } from "./find-platform.ts";
import { actorOfFlow, type Granted, type OAuthFlow } from "./flow.ts";

type Input = { flow: OAuthFlow; provider: OAuthPlatform; granted: Granted };

/**
 * Gives an integration the token that was granted. One that names no project or site at the platform yet is
 * `pending` until it is connected; any other is pushed to at once. One that the user disabled stays so. Throws a 404
 * or 409 when the project went away meanwhile, a 400 when the caller's key did.
 */
export async function completeOAuth(
	ctx: Pick<Context, "transaction" | "publicUrl" | "providers">,
	{ flow, provider, granted }: Input,
): Promise<Integration> {
	return ctx.transaction(async (tx) => {
		await requireCaller(tx, flow);
		const { integration: found } = await claimIntegration(tx, flow.projectId, provider);
		const state = found.state === "disabled" ? "disabled" : found.externalId === null ? "pending" : "active";
		const integration = await tx.stores.integrations.update(
			found.id,
			{
				state,
				credentials: sealCredentials(tx.vault, found, granted.credentials),
				config: configFor(found, granted),
			},
			{ drop: ["lastError"] },
		);
		await recordAudit(tx, {
			organizationId: found.organizationId,
			projectId: found.projectId,
			action: state === "active" ? "project.integration.connected" : "project.integration.upsert",
			actor: actorOfFlow(flow),
			metadata: { integration_id: found.id, provider: provider.id, by: "oauth" },
		});
		if (state === "active") {
			await takeUp(tx, integration);
			await publishEvents(tx, [integrationEvent(ctx, integration, "integration.connected")]);
		}
		return integration;
	});
}

/** A key that was revoked since the flow began connects nothing any more. */
async function requireCaller(
	tx: Pick<Transaction, "stores" | "clock">,
	{ actorKind, actorId }: OAuthFlow,
): Promise<void> {
	if (actorKind !== "api_key") return;
	const key = await tx.stores.apiKeys.find(actorId as ApiKeyId);
	const isOver = key?.expiresAt != null && key.expiresAt <= tx.clock.now();
	if (!key || key.revokedAt !== null || isOver) throw callerGone();
}

/** As after connecting: the URLs are pushed, and a hook is looked after. */
async function takeUp(tx: Transaction, integration: Integration): Promise<void> {
	const { id, config, hook } = integration;
	await enqueuePush(tx, integration);
	if (!config.previewBranches && hook === null) return;
	await tx.tasks.send("integrations.reconcile", { integrationId: id }, { singletonKey: id });
}

/** The team of the grant is where the project or site will be looked for; of one that is bound the team is known. */
function configFor({ config, externalId }: Integration, { teamId }: Granted): IntegrationConfig {
	if (teamId === undefined || externalId !== null) return config;
	const { teamId: _, ...rest } = config;
	return teamId === null ? rest : { ...rest, teamId };
}
