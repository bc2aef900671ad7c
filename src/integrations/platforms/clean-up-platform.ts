import type { Context } from "../../context.ts";
import { eraseVariables } from "../../env-sync/erase-variables.ts";
import { isSamePlace, type PushedVariable } from "../../env-sync/pushed-variable.ts";
import type { JobRun } from "../../jobs/job-type.ts";
import type { DeploymentProvider } from "../../providers/deployment-provider.ts";
import { ProviderError } from "../../providers/errors.ts";
import type { Integration } from "../integration.ts";
import { accessOf, type Platform } from "./open-platform.ts";
import { sweepHooks } from "./sweep-hooks.ts";
import { whileAlone } from "./while-alone.ts";

/** A platform that cannot be asked for that long is given up: the credentials are not kept for ever. */
const triedMs = 7 * 24 * 3_600_000;

/**
 * Removes what we made at the platform of an integration that is being disconnected: hooks, and the variables that are
 * ours and unchanged since. What a newer integration of the same project uses stays. What the platform refuses is left
 * there, and the job's log says so. May be repeated. Throws a ProviderError when the platform cannot be asked.
 */
export async function cleanUpPlatform(
	ctx: Context,
	run: JobRun,
	{ integration: place, provider }: { integration: Integration; provider: DeploymentProvider },
): Promise<void> {
	await whileAlone(ctx, place, { signal: run.signal }, async (signal) => {
		// Who had the lease before may have made a hook meanwhile.
		const integration = await ctx.stores.integrations.find(place.id);
		if (!integration?.credentials || integration.externalId === null) return;
		const isLate = isOverdue(integration, ctx.clock.now());
		const unless = { run, isLeft: (error: ProviderError) => isLate || isRefused(error) };
		await unlessLeft(unless, "what was made", async () => {
			const access = await accessOf(ctx, integration, provider, signal);
			const platform = { integration, provider, access };
			await unlessLeft(unless, "the webhook", () => removeHooks(ctx, run, platform));
			await unlessLeft(unless, "the variables", () => removeVariables(ctx, run, platform));
		});
	});
}

async function removeHooks(ctx: Context, run: JobRun, platform: Platform): Promise<void> {
	const { hook } = platform.integration;
	if (hook === null) return;
	const deleted = await sweepHooks(ctx, platform, hook);
	if (deleted > 0) run.say("removed the webhook");
}

async function removeVariables(ctx: Context, run: JobRun, platform: Platform): Promise<void> {
	const { integration, provider } = platform;
	const ours = await ctx.stores.pushedVariables.list(integration.id);
	const newer = await ctx.stores.integrations.findByProvider(integration.projectId, provider.id);
	const theirs: PushedVariable[] = newer ? await ctx.stores.pushedVariables.list(newer.id) : [];
	const outgoing = ours.filter((variable) => !theirs.some((other) => isSamePlace(variable, other)));
	const { removed, kept } = await eraseVariables(ctx, platform, outgoing);
	run.say(`removed ${removed} variables`);
	if (kept > 0) run.say(`left ${kept} as they are: they were changed at ${provider.displayName} since`);
}

type Unless = { run: JobRun; isLeft: (error: ProviderError) => boolean };

async function unlessLeft({ run, isLeft }: Unless, what: string, work: () => Promise<void>): Promise<void> {
	try {
		await work();
	} catch (error) {
		if (!(error instanceof ProviderError) || !isLeft(error)) throw error;
		run.say(`could not remove ${what}, which stays at ${error.provider}: ${error.message}`);
	}
}

function isOverdue({ deletedAt }: Integration, now: Date): boolean {
	return deletedAt !== null && now.getTime() - deletedAt.getTime() > triedMs;
}

function isRefused({ reason }: ProviderError): boolean {
	return ["unauthorized", "forbidden", "not_found", "invalid_grant"].includes(reason);
}
