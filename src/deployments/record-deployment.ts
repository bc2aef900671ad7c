import type { Transaction } from "../context.ts";
import { newId } from "../core/ids.ts";
import { publishEvents } from "../events/publish-events.ts";
import type { Integration } from "../integrations/integration.ts";
import type { Deployment as ReportedDeployment } from "../providers/deployment-provider.ts";
import { converge } from "./converge.ts";
import type { Deployment, DeploymentStage } from "./deployment.ts";
import { deploymentEvent } from "./deployment-event.ts";

type Input = {
	integration: Integration;
	report: ReportedDeployment;
	/** Counts as the time of a report that names none. */
	receivedAt: Date;
};

/**
 * Adds a platform's report to the deployment's row, made when there is none, and announces a stage that is new. Reports
 * may come late, twice and in any order: the row ends the same, and each stage is announced once.
 */
export async function recordDeployment(tx: Transaction, input: Input): Promise<Recorded> {
	const recorded = (await insert(tx, input)) ?? (await update(tx, input));
	const { deployment, news } = recorded;
	if (news !== null) await publishEvents(tx, [deploymentEvent(deployment, news)]);
	return recorded;
}

/** `news` is the stage that was announced. */
type Recorded = { deployment: Deployment; news: DeploymentStage | null };

/** Null when the deployment is known. */
async function insert(tx: Transaction, { integration, report, receivedAt }: Input): Promise<Recorded | null> {
	const { fields, news } = converge(null, report, report.occurredAt ?? receivedAt);
	const deployment = await tx.stores.deployments.insert({
		id: newId("dep"),
		organizationId: integration.organizationId,
		projectId: integration.projectId,
		integrationId: integration.id,
		provider: integration.provider,
		externalId: report.id,
		...fields,
	});
	return deployment && { deployment, news };
}

async function update(tx: Transaction, { integration, report, receivedAt }: Input): Promise<Recorded> {
	const { projectId, provider, id: integrationId } = integration;
	const known = await tx.stores.deployments.findForUpdate({ projectId, provider, externalId: report.id });
	if (!known) throw new Error(`Deployment ${report.id} vanished while it was being recorded.`);
	const { fields, news } = converge(known, report, report.occurredAt ?? receivedAt);
	return { deployment: await tx.stores.deployments.update(known.id, { ...fields, integrationId }), news };
}
