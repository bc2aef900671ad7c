import type { DeploymentId, IntegrationId, OrganizationId, PreviewId, ProjectId } from "../core/ids.ts";
import type { DeploymentState } from "../providers/deployment-provider.ts";

/** What goes out as an event, `deployment.…`, once for each that was reported. */
export type DeploymentStage = "created" | "ready" | "failed" | "canceled" | "promoted";

/** A deployment of a project, as the platform's reports together tell of it. */
export type Deployment = {
	id: DeploymentId;
	organizationId: OrganizationId;
	projectId: ProjectId;
	integrationId: IntegrationId;
	provider: string;
	/** The platform's own id. */
	externalId: string;
	state: DeploymentState;
	/** When the state was reached. */
	stateAt: Date;
	/** The stages that were announced. */
	announced: DeploymentStage[];
	/** The platform's word for what it was built for. */
	context: string;
	isPreview: boolean;
	branch: string | null;
	commitSha: string | null;
	commitMessage: string | null;
	commitAuthor: string | null;
	pullRequest: number | null;
	isFork: boolean | null;
	url: string | null;
	inspectUrl: string | null;
	errorCode: string | null;
	/** The database of its branch. */
	previewDatabaseId: PreviewId | null;
	/** Why it has no database, or not the variables that name it. */
	lastError: string | null;
	/** At the platform. */
	startedAt: Date;
	readyAt: Date | null;
	createdAt: Date;
	updatedAt: Date;
};
