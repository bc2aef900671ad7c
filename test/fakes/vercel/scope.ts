import {
	type Answer,
	badRequest,
	type FakeProject,
	type FakeToken,
	forbidden,
	notFound,
	refusal,
	type State,
} from "./state.ts";

export type Caller = { token: FakeToken; accountId: string };

/** Who calls, and for which account; or what a caller is told that may not. */
export function findCaller(
	state: State,
	authorization: string | undefined,
	query: Record<string, string>,
): Caller | Answer {
	const given = /^Bearer (.+)$/.exec(authorization ?? "")?.[1];
	if (given === undefined) return refusal(401, "forbidden", "The request is missing an authentication token");
	const token = state.tokens.get(given);
	if (token === undefined) return refusal(403, "forbidden", "Not authorized", { invalidToken: true });
	const { teamId, slug } = query;
	if (teamId === undefined && slug === undefined) {
		// A token of a team alone acts for that team when the call names none.
		const [only] = token.teamIds;
		return { token, accountId: token.isPersonal || only === undefined ? state.userId : only };
	}
	const team = [...state.teams.values()].find((each) => (teamId ? each.id === teamId : each.slug === slug));
	if (team === undefined || !token.teamIds.includes(team.id)) return forbidden();
	return { token, accountId: team.id };
}

/** The project of a path, by id or name, as far as the caller may see it. */
export function findProject(state: State, caller: Caller, idOrName: string): FakeProject | Answer {
	const project = [...state.projects.values()].find(
		({ id, name, accountId }) => accountId === caller.accountId && (id === idOrName || name === idOrName),
	);
	if (project === undefined) return notFound("Project");
	const { projectId } = caller.token;
	return projectId !== null && projectId !== project.id ? forbidden() : project;
}

export function isAnswer(value: object): value is Answer {
	return "status" in value && typeof value.status === "number";
}

/** A 400 for a parameter that the call does not have. `teamId` and `slug` may always be there. */
export function checkQuery(query: Record<string, string>, names: readonly string[]): Answer | null {
	const unknown = Object.keys(query).find((name) => !["teamId", "slug", ...names].includes(name));
	return unknown === undefined
		? null
		: badRequest(`Invalid request: should NOT have additional property \`${unknown}\`.`);
}

/** A 400 for a body that is no object, or has a field that it should not have. */
export function checkFields(body: unknown, names: readonly string[]): Answer | null {
	if (typeof body !== "object" || body === null || Array.isArray(body)) {
		return badRequest("Invalid request: should be object.");
	}
	const unknown = Object.keys(body).find((name) => !names.includes(name));
	return unknown === undefined
		? null
		: badRequest(`Invalid request: should NOT have additional property \`${unknown}\`.`);
}
