import { getDeployment, listDeployments, redeploy } from "./deployments.ts";
import { projectDocument, teamDocument } from "./documents.ts";
import { deliver, deploymentEvent } from "./events.ts";
import { answerHooks } from "./hooks.ts";
import { answerInstallation, exchangeCode } from "./oauth.ts";
import { type Caller, checkQuery, findCaller, findProject, isAnswer } from "./scope.ts";
import { type Answer, badRequest, type FakeRequest, forbidden, notFound, type State } from "./state.ts";
import { createVariables, deleteVariable, listVariables, updateVariable } from "./variables.ts";

const projectListFilters = ["from", "limit", "search", "repo", "repoId"];

/** What Vercel's API answers. `raw` is the body as it came. */
export async function answerTo(state: State, request: FakeRequest, raw: string): Promise<Answer> {
	const { method, path, query, headers } = request;
	if (method === "POST" && path === "/v2/oauth/access_token") {
		return exchangeCode(state, String(headers["content-type"]), new URLSearchParams(raw));
	}
	const caller = findCaller(state, headers.authorization as string | undefined, query);
	if (isAnswer(caller)) return caller;
	if (method === "POST" || method === "PATCH") {
		if (request.body === undefined) return badRequest("Invalid JSON");
	}
	const [version, area, ...rest] = path.slice(1).split("/").map(decodeURIComponent);
	switch (`${version}/${area}`) {
		case "v2/user":
			return userAnswer(state, caller);
		case "v2/teams":
			return rest.length === 0 ? teamsAnswer(state, caller, query) : notFound("Path");
		case "v10/projects":
		case "v9/projects":
			return answerProjects(state, caller, request, version === "v9" ? 9 : 10, rest);
		case "v1/webhooks":
			return answerHooks(state, caller, { method, id: rest[0] ?? null, query, body: request.body });
		case "v6/deployments":
			return method === "GET" ? listDeployments(state, caller, query) : notFound("Path");
		case "v13/deployments":
			return answerDeployment(state, caller, request, rest[0]);
		case "v1/integrations":
			return rest[0] === "configuration" && rest[1]
				? answerInstallation(state, caller, method, rest[1])
				: notFound("Path");
		default:
			return notFound("Path");
	}
}

function userAnswer(state: State, caller: Caller): Answer {
	if (caller.token.projectId !== null || !caller.token.isPersonal) return forbidden();
	const user = {
		id: state.userId,
		email: "ada@example.com",
		name: "Ada",
		username: "ada",
		avatar: null,
		defaultTeamId: null,
		limited: true,
	};
	return { status: 200, body: { user } };
}

function teamsAnswer(state: State, caller: Caller, query: Record<string, string>): Answer {
	const wrong = checkQuery(query, ["limit", "since", "until"]);
	if (wrong !== null) return wrong;
	if (caller.token.projectId !== null) return forbidden();
	const all = [...state.teams.values()].filter(({ id }) => caller.token.teamIds.includes(id));
	const start = Number(query.until ?? 0);
	const limit = Number(query.limit ?? 20);
	const teams = all.slice(start, start + limit).map((team) => teamDocument(state, team));
	const next = start + limit < all.length ? start + limit : null;
	return { status: 200, body: { teams, pagination: { count: teams.length, next, prev: null } } };
}

function answerProjects(
	state: State,
	caller: Caller,
	{ method, query, body }: FakeRequest,
	version: 9 | 10,
	[idOrName, area, envId]: string[],
): Answer {
	if (idOrName === undefined) return listProjects(state, caller, query);
	const project = findProject(state, caller, idOrName);
	if (isAnswer(project)) return project;
	const call = `${method} v${version} ${area ?? ""}${envId === undefined ? "" : "/id"}`;
	switch (call) {
		case "GET v9 ":
			return checkQuery(query, []) ?? { status: 200, body: projectDocument(project) };
		case "GET v10 env":
			return listVariables(project, query);
		case "POST v10 env":
			return createVariables(state, project, query, body);
		case "PATCH v9 env/id":
			return checkQuery(query, []) ?? updateVariable(state, project, envId ?? "", body);
		case "DELETE v9 env/id":
			return checkQuery(query, ["customEnvironmentId"]) ?? deleteVariable(project, envId ?? "");
		default:
			return notFound("Path");
	}
}

function listProjects(state: State, caller: Caller, query: Record<string, string>): Answer {
	const wrong = checkQuery(query, projectListFilters);
	if (wrong !== null) return wrong;
	const { projectId } = caller.token;
	const all = [...state.projects.values()].filter(
		({ accountId, id }) => accountId === caller.accountId && (projectId === null || projectId === id),
	);
	const start = Number(query.from ?? 0);
	const limit = Math.min(Number(query.limit ?? 20), 100);
	const projects = all.slice(start, start + limit).map(projectDocument);
	const next = start + limit < all.length ? start + limit : null;
	return { status: 200, body: { projects, pagination: { count: projects.length, next, prev: null } } };
}

async function answerDeployment(
	state: State,
	caller: Caller,
	{ method, query, body }: FakeRequest,
	id: string | undefined,
): Promise<Answer> {
	if (method === "GET" && id !== undefined) {
		return checkQuery(query, ["withGitRepoInfo"]) ?? getDeployment(state, caller, id);
	}
	if (method !== "POST" || id !== undefined) return notFound("Path");
	const { answer, deployment } = redeploy(state, caller, query, body);
	if (deployment !== null) void deliver(state, [deploymentEvent(state, "deployment.created", deployment)]);
	return answer;
}
