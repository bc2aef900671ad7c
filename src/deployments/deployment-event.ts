import type { NewEvent } from "../events/event.ts";
import type { Deployment, DeploymentStage } from "./deployment.ts";
import { toDeploymentWire } from "./wire.ts";

/** The event that tells of a deployment's stage, with the deployment as it is now. */
export function deploymentEvent(deployment: Deployment, stage: DeploymentStage): NewEvent {
	const { organizationId, projectId } = deployment;
	const data = JSON.stringify({ deployment: toDeploymentWire(deployment) });
	return { organizationId, projectId, type: `deployment.${stage}`, data };
}
