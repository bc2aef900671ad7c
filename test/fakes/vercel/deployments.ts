import { listedDeployment, singleDeployment } from "./documents.ts";
import { type Caller, checkFields, checkQuery, findProject, isAnswer } from "./scope.ts";
import {
	type Answer,
	badRequest,
	type FakeDeployment,
	type FakeProject,
	moment,
	newId,
	notFound,
	type State,
} from "./state.ts";
import { resolveVariables } from "./variables.ts";

export type DeployHow = {
	/** Null for one that was uploaded. */
	branch: string | null;
	target?: FakeDeployment["target"];
	customEnvironmentId?: string;
	/** The commit is of another repository than the project's. */
	isFork?: boolean;
	pullRequest?: number;
	message?: string;
};

const listFilters = [
	"projectId",
	"projectIds",
	"limit",
	"since",
	"until",
	"state",
	"target",
	"branch",
	"sha",
	"app",
];

/** Pushes a commit to the project's repository, or uploads: a new deployment, queued. */
export function addDeployment(state: State, project: FakeProject, how: DeployHow): FakeDeployment {
	const target = how.target ?? null;
	const deployment: FakeDeployment = {
		id: newId("dpl"),
		projectId: project.id,
		name: project.name,
		accountId: project.accountId,
		target,
		customEnvironmentId: how.customEnvironmentId ?? null,
		state: "QUEUED",
		isPromoted: false,
		source: how.branch === null ? "cli" : "git",
		meta: how.branch === null ? {} : commitMeta(project, how.branch, how),
		errorCode: null,
		createdAt: moment(state),
		finishedAt: null,
		variables: resolveVariables(project, target ?? "preview", how.branch),
	};
	state.deployments.set(deployment.id, deployment);
	return deployment;
}

export function listDeployments(state: State, caller: Caller, query: Record<string, string>): Answer {
	const wrong = checkQuery(query, listFilters);
	if (wrong !== null) return wrong;
	const numbers = ["limit", "since", "until"].filter(
		(name) => query[name] !== undefined && !/^\d+$/.test(query[name]),
	);
	if (numbers.length > 0) return badRequest(`Invalid request: \`${numbers[0]}\` should be number.`);
	const project = findProject(state, caller, query.projectId ?? "");
	if (isAnswer(project)) return project;
	const until = Number(query.until ?? Number.MAX_SAFE_INTEGER);
	const since = Number(query.since ?? 0);
	const matching = [...state.deployments.values()]
		.filter(({ projectId, createdAt }) => projectId === project.id && createdAt > since && createdAt < until)
		.toSorted((left, right) => right.createdAt - left.createdAt);
	const page = matching.slice(0, Math.min(Number(query.limit ?? 20), state.deploymentsPageMax));
	const next = page.length < matching.length ? (page.at(-1)?.createdAt ?? null) : null;
	const pagination = { count: page.length, next, prev: page[0]?.createdAt ?? null };
	return { status: 200, body: { deployments: page.map(listedDeployment), pagination } };
}

export function getDeployment(state: State, caller: Caller, id: string): Answer {
	const deployment = findDeployment(state, caller, id);
	return isAnswer(deployment) ? deployment : { status: 200, body: singleDeployment(state, deployment) };
}

/** `POST /v13/deployments` with an earlier deployment's id, the only form that is known here. */
export function redeploy(
	state: State,
	caller: Caller,
	query: Record<string, string>,
	body: unknown,
): { answer: Answer; deployment: FakeDeployment | null } {
	const refused = (answer: Answer) => ({ answer, deployment: null });
	const fault =
		checkQuery(query, ["forceNew", "skipAutoDetectionConfirmation"]) ??
		checkFields(body, ["name", "deploymentId", "meta", "target", "project"]);
	if (fault !== null) return refused(fault);
	const { name, deploymentId, meta, target } = body as Record<string, unknown>;
	if (typeof name !== "string" || name === "")
		return refused(badRequest("Missing required property `name`."));
	if (target !== undefined && target !== "production" && target !== "staging") {
		return refused(badRequest("Invalid request: `target`."));
	}
	const earlier = findDeployment(state, caller, String(deploymentId));
	if (isAnswer(earlier)) return refused(earlier);
	const project = state.projects.get(earlier.projectId);
	if (project === undefined) return refused(notFound("Project"));
	const branch = earlier.meta.githubCommitRef ?? null;
	const deployment: FakeDeployment = {
		...earlier,
		id: newId("dpl"),
		state: "QUEUED",
		isPromoted: false,
		source: "redeploy",
		meta: { ...earlier.meta, ...(meta as Record<string, string>), originalDeploymentId: earlier.id },
		errorCode: null,
		createdAt: moment(state),
		finishedAt: null,
		variables: resolveVariables(project, earlier.target ?? "preview", branch),
	};
	state.deployments.set(deployment.id, deployment);
	return { answer: { status: 200, body: singleDeployment(state, deployment) }, deployment };
}

function findDeployment(state: State, caller: Caller, id: string): FakeDeployment | Answer {
	const deployment = state.deployments.get(id);
	if (deployment === undefined || deployment.accountId !== caller.accountId) return notFound("Deployment");
	const { projectId } = caller.token;
	return projectId !== null && projectId !== deployment.projectId ? notFound("Deployment") : deployment;
}

function commitMeta(project: FakeProject, branch: string, how: DeployHow): Record<string, string> {
	if (project.link === null) throw new Error(`The project ${project.name} has no repository to push to.`);
	const { org, repo, repoId } = project.link;
	return {
		githubCommitAuthorName: "Ada Brandt",
		githubCommitAuthorEmail: "ada@example.com",
		githubCommitAuthorLogin: "ada",
		githubCommitMessage: how.message ?? `Change ${branch}\n\nCo-authored-by: Bo <bo@example.com>`,
		githubCommitOrg: how.isFork ? "someone-else" : org,
		githubCommitRef: branch,
		githubCommitRepo: repo,
		githubCommitRepoId: String(how.isFork ? repoId + 1 : repoId),
		githubCommitSha: newId("").slice(1).padEnd(40, "0"),
		githubDeployment: "1",
		githubOrg: org,
		githubRepo: repo,
		githubRepoId: String(repoId),
		...(how.pullRequest === undefined ? {} : { githubPrId: String(how.pullRequest) }),
	};
}
