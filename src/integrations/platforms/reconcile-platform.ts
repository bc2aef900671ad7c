import type { Context } from "../../context.ts";
import { AppError } from "../../core/errors.ts";
import type { IntegrationId } from "../../core/ids.ts";
import { pushProject } from "../../env-sync/push-project.ts";
import { publishEvents } from "../../events/publish-events.ts";
import { classifyFailure } from "../../jobs/classify-failure.ts";
import type { Deployment } from "../../providers/deployment-provider.ts";
import { ProviderError } from "../../providers/errors.ts";
import type { Integration } from "../integration.ts";
import { integrationEvent } from "../integration-event.ts";
import { noteFailure } from "../note-failure.ts";
import { ensureHook } from "./ensure-hook.ts";
import { openPlatform, type Platform } from "./open-platform.ts";
import { whileAlone } from "./while-alone.ts";

/** Takes deployments as the platform lists them now, newest first; those that are known already change nothing. */
export type RecordDeployments = (
	ctx: Context,
	input: { integration: Integration; deployments: readonly Deployment[]; signal: AbortSignal },
) => Promise<void>;

type Input = { integrationId: IntegrationId; signal: AbortSignal };

/** Looked at again although they were listed before: their later states may have been missed. */
const overlapMs = 3 * 3_600_000;
/** Of what is older nothing would follow, as of an event that is that late. */
const reachMs = 7 * 24 * 3_600_000;
const pagesMax = 20;

/**
 * Compares what stands at the platform with what should, and mends it: the hook, the project's variables, and the
 * deployments whose events never came. A refusal that will not pass puts the integration into the state `error`; a
 * later success heals it.
 */
export function reconcilePlatform({ recordDeployments }: { recordDeployments: RecordDeployments }) {
	return async (ctx: Context, { integrationId, signal }: Input): Promise<void> => {
		const place = await ctx.stores.integrations.find(integrationId);
		if (!place || place.deletedAt || place.state === "disabled" || place.state === "pending") return;
		try {
			await whileAlone(ctx, place, { signal }, async (alone) =>
				mend(ctx, await openPlatform(ctx, integrationId, alone)),
			);
			await catchUp(ctx, await openPlatform(ctx, integrationId, signal), recordDeployments, signal);
			await ctx.stores.integrations.report(integrationId, {
				set: { reconciledAt: ctx.clock.now().toISOString() },
			});
		} catch (error) {
			await noteTrouble(ctx, place, error);
		}
	};
}

async function mend(ctx: Context, platform: Platform): Promise<void> {
	await ensureHook(ctx, platform);
	const project = await ctx.stores.projects.find(platform.integration.projectId);
	if (project?.state === "ready") await pushProject(ctx, platform, project);
	await ctx.transaction(async (tx) => {
		const integration = await tx.stores.integrations.findForUpdate(platform.integration.id);
		if (integration?.state !== "error" || integration.deletedAt) return;
		const healed = await tx.stores.integrations.update(
			integration.id,
			{ state: "active" },
			{ drop: ["lastError"] },
		);
		await publishEvents(tx, [integrationEvent(ctx, healed, "integration.connected")]);
	});
}

async function catchUp(
	ctx: Context,
	{ integration, provider, access }: Platform,
	recordDeployments: RecordDeployments,
	signal: AbortSignal,
): Promise<void> {
	const { id, status } = integration;
	if (!(integration.config.previewBranches ?? false)) {
		// Whoever asks for databases later asks for those of the branches that are deployed from then on.
		if (status.deploymentsReadAt) await ctx.stores.integrations.report(id, { drop: ["deploymentsReadAt"] });
		return;
	}
	const now = ctx.clock.now();
	const lastAt = new Date(status.deploymentsReadAt ?? now).getTime();
	const since = new Date(Math.max(lastAt - overlapMs, now.getTime() - reachMs));
	const { productionBranch } = await provider.identify(access);
	const branch = productionBranch === null ? {} : { productionBranch };
	await ctx.stores.integrations.report(id, { drop: ["productionBranch"], set: branch });
	let cursor: string | null = null;
	for (let page = 0; page < pagesMax; page++) {
		const { deployments, cursor: next } = await provider.listDeployments(access, { since, cursor });
		if (deployments.length > 0) await recordDeployments(ctx, { integration, deployments, signal });
		cursor = next;
		if (cursor === null) break;
	}
	await ctx.stores.integrations.report(id, { set: { deploymentsReadAt: now.toISOString() } });
}

/** What passes is tried again soon, and at the next reconciliation; what does not is the customer's to mend. */
async function noteTrouble(ctx: Context, { id, state }: Integration, error: unknown): Promise<void> {
	if (!(error instanceof ProviderError) && !(error instanceof AppError)) throw error;
	ctx.log.warn({ integration_id: id, err: error }, "an integration could not be reconciled");
	const reconciledAt = ctx.clock.now().toISOString();
	await ctx.stores.integrations.report(id, { set: { reconciledAt } });
	const { classification } = classifyFailure(error);
	if (classification !== "permanent") throw error;
	if (!(error instanceof ProviderError) || state === "error") return;
	await ctx.transaction(async (tx) => {
		await publishEvents(tx, await noteFailure(tx, ctx, id, error.message));
	});
}
