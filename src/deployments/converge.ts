import type { DeploymentState, Deployment as ReportedDeployment } from "../providers/deployment-provider.ts";
import type { Deployment, DeploymentStage } from "./deployment.ts";

/** What the reports of a deployment decide about its row. */
export type ReportedFields = Omit<
	Deployment,
	| "id"
	| "organizationId"
	| "projectId"
	| "integrationId"
	| "provider"
	| "externalId"
	| "previewDatabaseId"
	| "lastError"
	| "createdAt"
	| "updatedAt"
>;

/** States of one phase follow each other by time; a later phase is never left again. */
const phases: Record<DeploymentState, number> = {
	created: 0,
	building: 0,
	ready: 1,
	canceled: 1,
	failed: 1,
	promoted: 2,
};

/** Of two states of one phase and one time the later here counts. */
const ranks: Record<DeploymentState, number> = {
	created: 0,
	building: 1,
	ready: 2,
	canceled: 3,
	failed: 4,
	promoted: 5,
};

/**
 * What is known of a deployment once `report` has been added to what was known before: the same in whatever order,
 * and however often, reports come. `at` is when the reported state was reached. `news` is the stage that nobody was
 * told of yet, null when the report brings none.
 */
export function converge(
	known: ReportedFields | null,
	report: ReportedDeployment,
	at: Date,
): { fields: ReportedFields; news: DeploymentStage | null } {
	const reported = fieldsOf(report, at);
	const stage = stageOf(report.state);
	if (known === null) return { fields: { ...reported, announced: [stage] }, news: stage };
	const [later, earlier] = comesAfter(reported, known) ? [reported, known] : [known, reported];
	const isNews = !known.announced.includes(stage);
	const fields = {
		...later,
		...filled(later, earlier),
		announced: isNews ? [...known.announced, stage] : known.announced,
		startedAt: earliest(known.startedAt, reported.startedAt),
		readyAt: earliestOf(known.readyAt, reported.readyAt),
	};
	return { fields, news: isNews ? stage : null };
}

function fieldsOf(report: ReportedDeployment, at: Date): ReportedFields {
	return {
		state: report.state,
		stateAt: at,
		announced: [],
		context: report.context,
		isPreview: report.isPreview,
		branch: report.branch,
		commitSha: report.commitSha,
		commitMessage: report.commitMessage,
		commitAuthor: report.commitAuthor,
		pullRequest: report.pullRequest,
		isFork: report.isFork,
		url: report.url,
		inspectUrl: report.inspectUrl,
		errorCode: report.errorCode,
		startedAt: report.createdAt ?? at,
		readyAt: report.state === "ready" ? at : null,
	};
}

function stageOf(state: DeploymentState): DeploymentStage {
	return state === "building" ? "created" : state;
}

function comesAfter(report: ReportedFields, known: ReportedFields): boolean {
	const byPhase = phases[report.state] - phases[known.state];
	const byTime = report.stateAt.getTime() - known.stateAt.getTime();
	return (byPhase || byTime || ranks[report.state] - ranks[known.state]) > 0;
}

/** What the later report leaves out, the earlier may have said. */
function filled(later: ReportedFields, earlier: ReportedFields) {
	return {
		branch: later.branch ?? earlier.branch,
		commitSha: later.commitSha ?? earlier.commitSha,
		commitMessage: later.commitMessage ?? earlier.commitMessage,
		commitAuthor: later.commitAuthor ?? earlier.commitAuthor,
		pullRequest: later.pullRequest ?? earlier.pullRequest,
		isFork: later.isFork ?? earlier.isFork,
		url: later.url ?? earlier.url,
		inspectUrl: later.inspectUrl ?? earlier.inspectUrl,
		errorCode: later.errorCode ?? earlier.errorCode,
	};
}

function earliest(left: Date, right: Date): Date {
	return left <= right ? left : right;
}

function earliestOf(left: Date | null, right: Date | null): Date | null {
	if (left === null || right === null) return left ?? right;
	return earliest(left, right);
}
