import { variableDocument } from "./documents.ts";
import { checkFields, checkQuery } from "./scope.ts";
import {
	type Answer,
	badRequest,
	type FakeProject,
	type FakeVariable,
	moment,
	newId,
	notFound,
	refusal,
	type State,
} from "./state.ts";

const types = ["system", "secret", "encrypted", "plain", "sensitive"];
const targets = ["production", "preview", "development"];
const fields = ["key", "value", "type", "target", "gitBranch", "comment", "customEnvironmentIds"];

type Fields = Partial<Omit<FakeVariable, "id" | "createdAt" | "updatedAt">>;
type NewVariable = Fields & Pick<FakeVariable, "key" | "value" | "type" | "target">;
type Failure = { error: { code: string; message: string; envVarKey?: string; target?: string[] } };

export function listVariables(project: FakeProject, query: Record<string, string>): Answer {
	const wrong = checkQuery(query, ["gitBranch", "decrypt", "source"]);
	return wrong ?? { status: 200, body: { envs: project.variables.map(variableDocument) } };
}

/** One variable is refused with an error; of several, those that fail are listed in a 201. */
export function createVariables(
	state: State,
	project: FakeProject,
	query: Record<string, string>,
	body: unknown,
): Answer {
	const wrong = checkQuery(query, ["upsert"]);
	if (wrong !== null) return wrong;
	const given: unknown[] = Array.isArray(body) ? body : [body];
	for (const each of given) {
		const fault = checkFields(each, fields) ?? checkVariable(project, each as Fields, true);
		if (fault !== null) return fault;
	}
	const created: FakeVariable[] = [];
	const failed: Failure[] = [];
	for (const each of given as NewVariable[]) {
		const result = forcedFailure(state, each.key) ?? createOne(state, project, each, query.upsert === "true");
		if ("error" in result) failed.push(result);
		else created.push(result);
	}
	const [failure] = failed;
	if (!Array.isArray(body) && failure)
		return { status: failure.error.code === "ENV_CONFLICT" ? 400 : 403, body: failure };
	const documents = created.map(variableDocument);
	return { status: 201, body: { created: Array.isArray(body) ? documents : documents[0], failed } };
}

export function updateVariable(state: State, project: FakeProject, id: string, body: unknown): Answer {
	const variable = project.variables.find((each) => each.id === id);
	if (variable === undefined) return notFound("Environment Variable");
	const fault = checkFields(body, fields);
	if (fault !== null) return fault;
	const changes = body as Fields;
	if (changes.type === "sensitive" && variable.type !== "sensitive") {
		return badRequest("An existing Environment Variable cannot be made sensitive. Remove and add it again.");
	}
	const changed = { ...variable, ...changes };
	const wrong = checkVariable(project, changed, false);
	if (wrong !== null) return wrong;
	const others = project.variables.filter((each) => each.id !== id);
	const rival = others.find((other) => overlaps(other, changed));
	if (rival !== undefined) return { status: 400, body: conflict("ENV_CONFLICT", rival) };
	Object.assign(variable, changes, { updatedAt: moment(state) });
	return { status: 200, body: variableDocument(variable) };
}

export function deleteVariable(project: FakeProject, id: string): Answer {
	const variable = project.variables.find((each) => each.id === id);
	if (variable === undefined) return notFound("Environment Variable");
	project.variables = project.variables.filter((each) => each !== variable);
	return { status: 200, body: variableDocument(variable) };
}

/** What a build for this target and branch gets; a branch's own value comes before the common one. */
export function resolveVariables(
	project: FakeProject,
	target: string,
	branch: string | null,
): Record<string, string> {
	const fitting = project.variables
		.filter((variable) => variable.target.includes(target))
		.filter(({ gitBranch }) => gitBranch === undefined || gitBranch === branch)
		.toSorted((left, right) => Number(left.gitBranch !== undefined) - Number(right.gitBranch !== undefined));
	return Object.fromEntries(fitting.map(({ key, value }) => [key, value]));
}

function createOne(
	state: State,
	project: FakeProject,
	given: NewVariable,
	isUpsert: boolean,
): FakeVariable | Failure {
	const rivals = project.variables.filter((each) => overlaps(each, given));
	const [rival] = rivals;
	if (rival !== undefined) {
		const isSame = rivals.length === 1 && rival.target.toSorted().join() === given.target.toSorted().join();
		if (!isUpsert) return conflict("ENV_ALREADY_EXISTS", rival);
		if (!isSame) return conflict("ENV_CONFLICT", rival);
		if (given.type === "sensitive" && rival.type !== "sensitive") return conflict("ENV_CONFLICT", rival);
		return Object.assign(rival, given, { updatedAt: moment(state) });
	}
	const now = moment(state);
	const variable: FakeVariable = { ...given, id: newId("env").slice(4, 20), createdAt: now, updatedAt: now };
	project.variables.push(variable);
	return variable;
}

function overlaps(standing: FakeVariable, given: Fields): boolean {
	return (
		standing.key === given.key &&
		(standing.gitBranch ?? null) === (given.gitBranch ?? null) &&
		standing.target.some((target) => given.target?.includes(target))
	);
}

function conflict(code: string, rival: FakeVariable): Failure {
	const message = "Another Environment Variable with the same Name and Environment exists in your project.";
	return { error: { code, message, envVarKey: rival.key, target: rival.target } };
}

function forcedFailure(state: State, key: string): Failure | null {
	const index = state.variableFailures.findIndex((failure) => (failure.key ?? key) === key);
	const [failure] = index === -1 ? [] : state.variableFailures.splice(index, 1);
	return failure === undefined
		? null
		: { error: { code: failure.code, message: "It could not be created.", envVarKey: key } };
}

function checkVariable(project: FakeProject, given: Fields, isNew: boolean): Answer | null {
	const { key, value, type, target, gitBranch, comment } = given;
	if (typeof key !== "string" || !/^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(key)) {
		return refusal(400, "INVALID_ENV_KEY", "The name contains invalid characters.");
	}
	if (typeof value !== "string" || (isNew && value === "")) return badRequest("Invalid request: `value`.");
	if (type === undefined || !types.includes(type)) return badRequest("Invalid request: `type`.");
	const isSomewhere = Array.isArray(target) && target.length + (given.customEnvironmentIds ?? []).length > 0;
	if (!isSomewhere || target.some((each) => !targets.includes(each))) {
		return badRequest("Invalid request: `target`.");
	}
	if (type === "sensitive" && target.includes("development")) {
		return badRequest("You cannot set a Sensitive Environment Variable's target to development.");
	}
	if (comment !== undefined && (typeof comment !== "string" || comment.length > 500))
		return badRequest("`comment`");
	return gitBranch === undefined ? null : checkBranch(project, gitBranch, target);
}

function checkBranch(project: FakeProject, gitBranch: unknown, target: readonly string[]): Answer | null {
	if (typeof gitBranch !== "string" || gitBranch.length > 250) {
		return badRequest("Invalid request: `gitBranch`.");
	}
	if (target.join() !== "preview") return badRequest("A branch can only be set for the preview environment.");
	return project.link === null ? badRequest("The project is not connected to a Git repository.") : null;
}
