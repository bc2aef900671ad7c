import type { Context } from "../context.ts";
import type { Platform } from "../integrations/platforms/open-platform.ts";
import type { OwnedVariable, PlatformTarget } from "../providers/deployment-provider.ts";
import { ProviderError } from "../providers/errors.ts";
import { baseTargets } from "./desired-variables.ts";
import type { PushedVariable } from "./pushed-variable.ts";

/** What stands in a variable for the moment between finding out that it is ours and removing it. */
const nothing = "removed";

/**
 * Removes variables from the platform that are ours and unchanged since, wherever they stand, and forgets all of
 * them. For the holder of the platform's lease. Throws a ProviderError; then it may be repeated.
 */
export async function eraseVariables(
	ctx: Pick<Context, "stores">,
	platform: Platform,
	variables: readonly PushedVariable[],
): Promise<{ removed: number; kept: number }> {
	const counts = { removed: 0, kept: 0 };
	const targets = new Map(variables.map(({ target }) => [target.id, target]));
	for (const target of targets.values()) {
		const there = variables.filter((variable) => variable.target.id === target.id);
		const result = await eraseAt(ctx, platform, target, there);
		counts.removed += result.removed;
		counts.kept += result.kept;
	}
	return counts;
}

async function eraseAt(
	ctx: Pick<Context, "stores">,
	{ integration, provider, access }: Platform,
	target: PlatformTarget,
	variables: readonly PushedVariable[],
): Promise<{ removed: number; kept: number }> {
	const at = { ...access, target };
	const settled = await settleWrites({ integration, provider, access: at }, variables);
	const { removed, kept } = await provider.removeVariables(at, settled);
	for (const variable of variables) await ctx.stores.pushedVariables.remove(integration.id, variable);
	return { removed: removed.length, kept: kept.length };
}

/**
 * Of a write that was begun and never answered nobody knows how the variable stands: it is written once more, which
 * brings the id and version by which it is removed.
 */
async function settleWrites(
	platform: Platform,
	variables: readonly PushedVariable[],
): Promise<readonly OwnedVariable[]> {
	const settled: OwnedVariable[] = variables.filter(({ isBeingWritten }) => !isBeingWritten);
	const unknown = variables.filter(({ isBeingWritten }) => isBeingWritten);
	for (const branch of new Set(unknown.map((variable) => variable.branch))) {
		const ofBranch = unknown.filter((variable) => variable.branch === branch);
		settled.push(...(await writeOnceMore(platform, ofBranch, variables)));
	}
	return settled;
}

/** A branch that the platform does not take, as one that is gone or named too long, must not keep the others. */
async function writeOnceMore(
	{ integration, provider, access }: Platform,
	unknown: readonly PushedVariable[],
	variables: readonly PushedVariable[],
): Promise<readonly OwnedVariable[]> {
	const usual = baseTargets(provider, integration);
	const targets = usual.length === 0 ? provider.variableTargets : usual;
	const desired = unknown.map(({ key, branch }) => ({
		key,
		branch,
		value: nothing,
		fingerprint: nothing,
		targets: branch === null ? targets : [],
	}));
	const owned = variables.filter(({ id }) => id !== "");
	try {
		return (await provider.pushVariables(access, { desired, owned })).owned;
	} catch (error) {
		if (error instanceof ProviderError && error.reason === "invalid_request") return unknown;
		throw error;
	}
}
