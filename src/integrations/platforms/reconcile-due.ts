import type { Context } from "../../context.ts";

const everySeconds = 3_600;
const batchSize = 500;

/** Asks for the reconciliation of every platform that was not looked at for an hour. */
export async function reconcileDue(ctx: Pick<Context, "stores" | "tasks" | "providers">): Promise<void> {
	const platforms = ctx.providers.deployment.map(({ id }) => id);
	const due = await ctx.stores.integrations.listUnreconciled(platforms, everySeconds, batchSize);
	for (const integrationId of due) {
		await ctx.tasks.send("integrations.reconcile", { integrationId }, { singletonKey: integrationId });
	}
}
