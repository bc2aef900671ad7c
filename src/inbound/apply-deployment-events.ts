import type { Context } from "../context.ts";
import { traced } from "../core/tracing.ts";
import { ensureBranchDatabase } from "../deployments/ensure-branch-database.ts";
import { recordDeployment } from "../deployments/record-deployment.ts";
import type { Integration } from "../integrations/integration.ts";
import { isValueRefused } from "../platform/db-errors.ts";
import type {
	DeploymentProvider,
	Deployment as ReportedDeployment,
} from "../providers/deployment-provider.ts";
import { applySpan } from "./apply-span.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

type Target = { integration: Integration; provider: DeploymentProvider };

const batchSize = 200;

/**
 * Lets what a platform reported take effect, oldest first, each report in one transaction with what it announces and
 * queues. May be killed anywhere.
 */
export async function applyDeploymentEvents(
	ctx: Context,
	target: Target,
	signal: AbortSignal,
): Promise<void> {
	const { id: integrationId } = target.integration;
	while (true) {
		const webhooks = await ctx.stores.inbound.listWaiting(integrationId, batchSize);
		for (const webhook of webhooks) {
			// The rest is for another process.
			if (signal.aborted)
				return ctx.tasks.send("inbound.apply", { integrationId }, { singletonKey: integrationId });
			await traced(
				ctx.tracing,
				() => applySpan([webhook]),
				() => apply(ctx, target, webhook),
			);
		}
		if (webhooks.length === 0) return;
	}
}

async function apply(ctx: Context, target: Target, webhook: InboundWebhook): Promise<void> {
	const reading = interpret(ctx, target.provider, webhook);
	try {
		await settle(ctx, target, webhook, reading);
	} catch (error) {
		if (!isValueRefused(error)) throw error;
		await settle(ctx, target, webhook, "unreadable");
	}
}

type Reading = ReportedDeployment | "unrelated" | "unreadable";

function interpret(
	ctx: Pick<Context, "log">,
	provider: DeploymentProvider,
	webhook: InboundWebhook,
): Reading {
	try {
		return provider.interpret(webhook) ?? "unrelated";
	} catch (error) {
		ctx.log.error({ inbound_id: webhook.id, err: error }, "a stored webhook could not be interpreted");
		return "unreadable";
	}
}

async function settle(
	ctx: Pick<Context, "transaction">,
	{ integration: { id } }: Target,
	webhook: InboundWebhook,
	given: Reading,
): Promise<void> {
	await ctx.transaction(async (tx) => {
		// The settings of this moment count, and another process may have been quicker.
		const integration = await tx.stores.integrations.find(id);
		const reading = integration && isOfOther(integration, given) ? "unrelated" : given;
		const settled = await tx.stores.inbound.settle(id, [{ ...webhook, ...outcomeOf(reading) }]);
		if (settled.size === 0 || !integration || integration.deletedAt) return;
		const { receivedAt } = webhook;
		if (typeof reading !== "string") {
			const recorded = await recordDeployment(tx, { integration, report: reading, receivedAt });
			await ensureBranchDatabase(tx, integration, recorded.deployment);
		}
		await tx.stores.integrations.report(id, { set: { lastEventAt: receivedAt.toISOString() } });
	});
}

/** Another target may have been connected since it came, and an event that was ignored may be replayed. */
function isOfOther({ externalId }: Integration, reading: Reading): boolean {
	if (typeof reading === "string" || reading.targetId === null) return false;
	return externalId !== null && reading.targetId !== externalId;
}

function outcomeOf(reading: Reading): Pick<InboundWebhook, "state" | "error"> {
	if (reading === "unrelated") return { state: "ignored", error: null };
	if (reading === "unreadable") return { state: "failed", error: "The event could not be read." };
	return { state: "processed", error: null };
}
