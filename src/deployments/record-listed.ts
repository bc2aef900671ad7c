import type { Context } from "../context.ts";
import type { Integration } from "../integrations/integration.ts";
import type { Deployment as ReportedDeployment } from "../providers/deployment-provider.ts";
import { branchTtlHours, ensureBranchDatabase } from "./ensure-branch-database.ts";
import { recordDeployment } from "./record-deployment.ts";

type Input = {
	integration: Integration;
	/** As the platform lists them, newest first. */
	deployments: readonly ReportedDeployment[];
	signal: AbortSignal;
};

const hourMs = 3_600_000;

/**
 * Makes up for events that never came. What is known already changes nothing, nor does its database live longer; one
 * whose database would be gone by now gets none.
 */
export async function recordListed(
	ctx: Pick<Context, "transaction" | "clock">,
	{ integration: { id }, deployments, signal }: Input,
): Promise<void> {
	for (const report of deployments.toReversed()) {
		signal.throwIfAborted();
		await ctx.transaction(async (tx) => {
			const integration = await tx.stores.integrations.find(id);
			if (!integration || integration.deletedAt) return;
			const input = { integration, report, receivedAt: ctx.clock.now() };
			const { deployment, news } = await recordDeployment(tx, input);
			const diesAt = deployment.startedAt.getTime() + branchTtlHours(integration) * hourMs;
			if (news !== null && diesAt > input.receivedAt.getTime())
				await ensureBranchDatabase(tx, integration, deployment);
		});
	}
}
