import { randomUUID } from "node:crypto";
import { type Answer, type EnvValue, type EnvVariable, type NetlifyState, refusal } from "./state.ts";

const contexts = ["all", "dev", "dev-server", "branch-deploy", "deploy-preview", "production", "branch"];
const scopeNames = ["builds", "functions", "runtime", "post-processing"];

export type EnvRequest = {
	method: string;
	accountId: string;
	siteId: string | undefined;
	key: string | null;
	valueId: string | null;
	body: unknown;
};

/** The calls below `/accounts/{account_id}/env`; the token's right to the account is checked before. */
export function answerEnv(state: NetlifyState, request: EnvRequest): Answer {
	const { siteId } = request;
	if (siteId !== undefined && state.sites.get(siteId)?.accountId !== request.accountId)
		return refusal(404, "Not Found");
	const variables = variablesOf(state, `${request.accountId}/${siteId ?? ""}`);
	if (request.key === null) {
		if (request.method === "GET") return { status: 200, body: [...variables.values()].map(masked) };
		if (request.method === "POST") return createVariables(state, variables, request);
		return refusal(405, "Method Not Allowed");
	}
	const variable = variables.get(request.key);
	if (variable === undefined) return refusal(404, "Not Found");
	if (request.valueId !== null) {
		return request.method === "DELETE"
			? deleteValue(variables, variable, request.valueId)
			: refusal(405, "Method Not Allowed");
	}
	switch (request.method) {
		case "GET":
			return { status: 200, body: masked(variable) };
		case "PUT":
			return replaceVariable(state, variables, variable, request);
		case "PATCH":
			return setValue(state, variable, request.body);
		case "DELETE":
			variables.delete(variable.key);
			return { status: 204 };
		default:
			return refusal(405, "Method Not Allowed");
	}
}

function variablesOf(state: NetlifyState, place: string): Map<string, EnvVariable> {
	const found = state.variables.get(place) ?? new Map<string, EnvVariable>();
	state.variables.set(place, found);
	return found;
}

/** A secret's values are readable by code that runs at Netlify only, save those for local development. */
function masked(variable: EnvVariable): EnvVariable {
	if (!variable.is_secret) return variable;
	const values = variable.values.map((value) =>
		value.context === "dev" ? value : { ...value, value: "*".repeat(8) },
	);
	return { ...variable, values };
}

function createVariables(
	state: NetlifyState,
	variables: Map<string, EnvVariable>,
	request: EnvRequest,
): Answer {
	if (!Array.isArray(request.body)) return refusal(422, "env_vars must be an array");
	const created: EnvVariable[] = [];
	for (const item of request.body) {
		const read = readVariable(state, request.accountId, item, null);
		if ("status" in read) return read;
		if (variables.has(read.key)) return refusal(422, `Environment variable ${read.key} already exists`);
		created.push(read);
	}
	for (const variable of created) variables.set(variable.key, variable);
	return { status: 201, body: created.map(masked) };
}

function replaceVariable(
	state: NetlifyState,
	variables: Map<string, EnvVariable>,
	previous: EnvVariable,
	request: EnvRequest,
): Answer {
	const read = readVariable(state, request.accountId, request.body, previous);
	if ("status" in read) return read;
	variables.delete(previous.key);
	variables.set(read.key, read);
	return { status: 200, body: masked(read) };
}

function readVariable(
	state: NetlifyState,
	accountId: string,
	body: unknown,
	previous: EnvVariable | null,
): EnvVariable | Answer {
	if (typeof body !== "object" || body === null) return refusal(422, "an environment variable is an object");
	const { key, scopes, values, is_secret: secret } = body as Record<string, unknown>;
	if (typeof key !== "string" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(key)) return refusal(422, "key is invalid");
	const named = readScopes(scopes, secret === true, state.accounts.get(accountId)?.plan === "pro");
	if ("status" in named) return named;
	if (!Array.isArray(values) || values.length === 0) return refusal(422, "values can't be blank");
	const read: EnvValue[] = [];
	for (const item of values) {
		const value = readValue(item, secret === true);
		if ("status" in value) return value;
		if (read.some((other) => sameContext(other, value))) return refusal(422, "values repeat a context");
		read.push(keepingId(state, value, previous));
	}
	return {
		key,
		scopes: named,
		values: read,
		is_secret: secret === true,
		updated_at: new Date().toISOString(),
	};
}

function readScopes(scopes: unknown, secret: boolean, isPaid: boolean): string[] | Answer {
	if (scopes === undefined) return secret ? scopeNames.slice(0, 3) : scopeNames;
	if (!isPaid) return refusal(403, "Upgrade your Netlify account to set specific scopes");
	if (!Array.isArray(scopes) || scopes.length === 0 || scopes.some((scope) => !scopeNames.includes(scope)))
		return refusal(422, "scopes is invalid");
	return secret && scopes.includes("post-processing")
		? refusal(422, "Secrets cannot have the post-processing scope")
		: scopes;
}

function readValue(item: unknown, secret: boolean): EnvValue | Answer {
	if (typeof item !== "object" || item === null) return refusal(422, "a value is an object");
	const { value, context, context_parameter: parameter } = item as Record<string, unknown>;
	if (typeof value !== "string" || value === "") return refusal(422, "value can't be blank");
	if (typeof context !== "string" || !contexts.includes(context)) return refusal(422, "context is invalid");
	if (secret && context === "all") return refusal(422, "Secrets cannot be set for all contexts");
	if (context === "branch" && (typeof parameter !== "string" || parameter === ""))
		return refusal(422, "context_parameter must be provided");
	return {
		id: randomUUID(),
		value,
		context,
		...(typeof parameter === "string" && parameter !== "" ? { context_parameter: parameter } : {}),
	};
}

function sameContext(one: EnvValue, other: EnvValue): boolean {
	return one.context === other.context && one.context_parameter === other.context_parameter;
}

function keepingId(state: NetlifyState, value: EnvValue, previous: EnvVariable | null): EnvValue {
	const before = previous?.values.find((other) => sameContext(other, value));
	return before === undefined || !state.quirks.valuesKeepIds ? value : { ...value, id: before.id };
}

function setValue(state: NetlifyState, variable: EnvVariable, body: unknown): Answer {
	const read = readValue(body, variable.is_secret);
	if ("status" in read) return read;
	const value = keepingId(state, read, variable);
	variable.values = [...variable.values.filter((other) => !sameContext(other, value)), value];
	variable.updated_at = new Date().toISOString();
	return { status: 201, body: masked(variable) };
}

function deleteValue(variables: Map<string, EnvVariable>, variable: EnvVariable, valueId: string): Answer {
	const left = variable.values.filter((value) => value.id !== valueId);
	if (left.length === variable.values.length) return refusal(404, "Not Found");
	variable.values = left;
	variable.updated_at = new Date().toISOString();
	if (left.length === 0) variables.delete(variable.key);
	return { status: 204 };
}
