import type { Context } from "../context.ts";
import type { Platform } from "../integrations/platforms/open-platform.ts";
import type { DesiredVariable, VariablesPushed } from "../providers/deployment-provider.ts";

/**
 * Brings variables to the platform: one read, and a write for each that differs. What is begun is noted first, so
 * that nothing is forgotten there when the process dies. For the holder of the platform's lease (`whileAlone`).
 * Throws a ProviderError.
 */
export async function writeVariables(
	ctx: Pick<Context, "stores">,
	{ integration, provider, access }: Platform,
	desired: readonly DesiredVariable[],
): Promise<Pick<VariablesPushed, "written" | "takenOver">> {
	if (desired.length === 0) return { written: [], takenOver: [] };
	const store = ctx.stores.pushedVariables;
	const { target } = access;
	const kept = (await store.list(integration.id)).filter((variable) => variable.target.id === target.id);
	const owned = kept.filter(({ id }) => id !== "");
	await store.begin(integration, target, desired);
	const pushed = await provider.pushVariables(access, { desired, owned });
	await store.settle(integration, target, pushed.owned);
	return pushed;
}
