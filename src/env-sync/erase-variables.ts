import type { Context } from "../context.ts";
import type { Platform } from "../integrations/platforms/open-platform.ts";
import type { OwnedVariable, PlatformTarget } from "../providers/deployment-provider.ts";
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
	{ integration, provider, access }: Platform,
	variables: readonly PushedVariable[],
): Promise<readonly OwnedVariable[]> {
	const unknown = variables.filter(({ isBeingWritten }) => isBeingWritten);
	if (unknown.length === 0) return variables;
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
	const pushed = await provider.pushVariables(access, { desired, owned });
	return [...variables.filter(({ isBeingWritten }) => !isBeingWritten), ...pushed.owned];
}
