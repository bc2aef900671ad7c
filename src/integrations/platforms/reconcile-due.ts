import type { Context } from "../../context.ts";
import { retryDisconnect } from "../delete-integration.ts";

const everySeconds = 3_600;
const batchSize = 500;

/**
 * Asks for the reconciliation of every platform that was not looked at for an hour, and once more for the cleaning up
 * after those that were disconnected and could not be reached.
 */
export async function reconcileDue(
	ctx: Pick<Context, "stores" | "tasks" | "providers" | "transaction">,
): Promise<void> {
	const platforms = ctx.providers.deployment.map(({ id }) => id);
	const due = await ctx.stores.integrations.listUnreconciled(platforms, everySeconds, batchSize);
	for (const integrationId of due) {
		await ctx.tasks.send("integrations.reconcile", { integrationId }, { singletonKey: integrationId });
	}
	for (const id of await ctx.stores.integrations.listUncleaned(everySeconds, batchSize)) {
		await ctx.transaction((tx) => retryDisconnect(tx, id));
	}
}
