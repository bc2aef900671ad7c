import type { Context, Transaction } from "../context.ts";
import type { IntegrationId } from "../core/ids.ts";
import { enqueuePush } from "../env-sync/enqueue-push.ts";
import { pushBranchVariables } from "../env-sync/push-branch-variables.ts";
import { removeBranchVariables } from "../env-sync/remove-branch-variables.ts";
import { openPlatform, type Platform } from "../integrations/platforms/open-platform.ts";
import type { JobRun, JobType, Settlement } from "../jobs/job-type.ts";
import type { Preview } from "../previews/preview.ts";
import { previewConnections } from "../previews/read-preview-connections.ts";
import { ProviderError } from "../providers/errors.ts";
import { type Branch, placeOf } from "./branch.ts";
import type { Deployment } from "./deployment.ts";
import { productionBranchSentence } from "./ensure-branch-database.ts";

type Key = Pick<Branch, "integrationId" | "branch">;

/**
 * The job `integration.sync_branch`: sets a branch's two variables to its database once that is ready, and builds the
 * branch once more, since its first build raced them; or removes them when the database is gone.
 */
export const syncBranch: JobType = {
	run: async (ctx, run) => {
		const key = keyOf(run);
		const branch = await ctx.stores.branches.find(key);
		if (!branch || !(await isConnected(ctx, key))) return (tx) => forget(tx, key);
		if (branch.previewDatabaseId === null) return remove(ctx, run, branch);
		const preview = await ctx.stores.previews.find(branch.previewDatabaseId);
		if (preview?.state !== "ready") {
			run.say(`the database of ${branch.branch} is not ready; its variables follow when it is`);
			return undefined;
		}
		return push(ctx, run, branch, preview);
	},
	failed: async (tx, job, sentence) => {
		const key = keyOf({ job });
		// The deployment first, as where its events take effect: two orders would wait for each other.
		await tx.stores.deployments.setErrorOfLatest(key, sentence);
		await tx.stores.branches.markFailed(key, sentence);
		return [];
	},
};

function keyOf({ job }: Pick<JobRun, "job">): Key {
	return { integrationId: job.input.integration_id as IntegrationId, branch: String(job.input.branch) };
}

async function isConnected(ctx: Pick<Context, "stores">, { integrationId }: Key): Promise<boolean> {
	const integration = await ctx.stores.integrations.find(integrationId);
	return integration !== null && integration.deletedAt === null;
}

/** Disconnecting removes all variables that are ours. */
async function forget(tx: Pick<Context, "stores">, key: Key): Promise<[]> {
	await tx.stores.branches.removeReleased(key);
	return [];
}

async function remove(ctx: Context, run: JobRun, branch: Branch): Promise<Settlement> {
	const { integrationId, branch: name } = branch;
	const input = { integrationId, branch: name, signal: run.signal };
	const { removed, kept } = await askingPlatform(ctx, integrationId, () => removeBranchVariables(ctx, input));
	run.say(`removed ${removed} variables of branch ${name}: its database is gone`);
	if (kept > 0) run.say(`left ${kept} that were changed at the platform since`);
	return (tx) => forget(tx, branch);
}

async function push(
	ctx: Context,
	run: JobRun,
	branch: Branch,
	preview: Preview,
): Promise<Settlement | undefined> {
	const { integrationId } = branch;
	const platform = await openPlatform(ctx, integrationId, run.signal);
	return askingPlatform(ctx, integrationId, async () => {
		if (await isProductionBranch(platform, branch)) return () => refuse(ctx, run, branch);
		const to = placeOf(platform.integration);
		const isPushed = branch.pushedPreviewId === preview.id && branch.pushedTo === to;
		if (!isPushed) {
			const connections = previewConnections(ctx, preview);
			const { signal } = run;
			const { written } = await pushBranchVariables(ctx, {
				integrationId,
				branch: branch.branch,
				connections,
				signal,
			});
			run.say(`pushed ${written} variables for branch ${branch.branch}`);
			await ctx.stores.branches.markPushed(branch, { previewId: preview.id, to });
		}
		// An earlier run may have been cut off when it had begun the deployment again.
		const isNeeded = branch.redeployedPreviewId !== preview.id;
		if (isNeeded) await redeploy(ctx, run, platform, { ...branch, mayBeBegun: isPushed });
		return async (tx: Transaction) => {
			await tx.stores.deployments.setErrorOfLatest(branch, null);
			await tx.stores.branches.markRedeployed(branch, preview.id);
			return [];
		};
	});
}

/** At Netlify a value of the production branch would stand before production's own. */
async function isProductionBranch({ provider, access }: Platform, { branch }: Branch): Promise<boolean> {
	const { productionBranch } = await provider.identify(access);
	return productionBranch === branch;
}

async function refuse(ctx: Pick<Context, "stores">, run: JobRun, branch: Branch): Promise<[]> {
	const sentence = productionBranchSentence(branch.branch);
	run.say(sentence);
	await ctx.stores.integrations.report(branch.integrationId, { set: { productionBranch: branch.branch } });
	await ctx.stores.branches.markFailed(branch, sentence);
	await ctx.stores.deployments.setErrorOfLatest(branch, sentence);
	return [];
}

/** Not needed by a deployment that was begun with the variables in place, as after a crash it may have been by us. */
async function redeploy(
	ctx: Pick<Context, "stores">,
	run: JobRun,
	{ integration, provider, access }: Platform,
	{ mayBeBegun, ...key }: Key & { mayBeBegun: boolean },
): Promise<void> {
	if (integration.config.redeploy === false) return;
	const pushedAt = (await ctx.stores.branches.find(key))?.pushedAt ?? null;
	const latest = await ctx.stores.deployments.findLatestOfBranch(key);
	if (latest === null || latest.branch === null) return;
	if (pushedAt !== null && latest.startedAt > pushedAt) return;
	if (pushedAt !== null && mayBeBegun && (await isBegunSince({ provider, access }, key, pushedAt))) {
		run.say(`the deployment of branch ${key.branch} was begun again already`);
		return;
	}
	await beginAgain(run, { provider, access }, { ...latest, branch: latest.branch });
}

/** The platform's list knows it before its event has come. */
async function isBegunSince(
	{ provider, access }: Pick<Platform, "provider" | "access">,
	{ branch }: Key,
	since: Date,
): Promise<boolean> {
	const { deployments } = await provider.listDeployments(access, { since, cursor: null });
	return deployments.some(
		(each) => each.branch === branch && each.createdAt !== null && each.createdAt > since,
	);
}

async function beginAgain(
	run: JobRun,
	{ provider, access }: Pick<Platform, "provider" | "access">,
	{ externalId: deploymentId, branch }: Pick<Deployment, "externalId"> & { branch: string },
): Promise<void> {
	try {
		await provider.redeploy(access, { deploymentId, branch });
		run.say(`began the deployment of branch ${branch} again, with its variables`);
	} catch (error) {
		if (!isFinal(error)) throw error;
		run.say(`could not begin the deployment again: ${error.message}`);
	}
}

/** The variables stand all the same; the branch's next deployment has them. */
function isFinal(error: unknown): error is ProviderError {
	if (!(error instanceof ProviderError)) return false;
	const { reason } = error;
	return reason === "forbidden" || reason === "not_found" || reason === "invalid_request";
}

/** A token that is not taken any more is the integration's trouble, which its own push finds and tells of. */
async function askingPlatform<Result>(
	ctx: Pick<Context, "transaction">,
	integrationId: IntegrationId,
	ask: () => Promise<Result>,
): Promise<Result> {
	try {
		return await ask();
	} catch (error) {
		// Vercel answers a token that was revoked as one that may not do this.
		if (error instanceof ProviderError && (error.reason === "unauthorized" || error.reason === "forbidden")) {
			await ctx.transaction(async (tx) => {
				const integration = await tx.stores.integrations.findForUpdate(integrationId);
				if (integration?.state === "active") await enqueuePush(tx, integration);
			});
		}
		throw error;
	}
}
