import { Ajv } from "ajv";
import type { Answer, TestServer } from "../support/server.ts";

// biome-ignore lint/suspicious/noExplicitAny: schemas are looked into at many depths
export type Schema = any;

/** One operation of the server's own OpenAPI document. */
export type Operation = {
	id: string;
	method: string;
	/** With its parameters in braces. */
	path: string;
	params: string[];
	queryNames: string[];
	/** By name. */
	querySchemas: Record<string, Schema>;
	isPublic: boolean;
	/** What the document says that a key must hold; null when it names no scope. */
	scope: string | null;
	description: string;
	bodySchema: Schema | null;
	isBodyRequired: boolean;
	statuses: number[];
};

export type Api = {
	operations: Operation[];
	/** What is wrong with an answer by the document; null when it fits. */
	faultOf(operation: Operation, answer: Answer): string | null;
};

/** Reads the document. What it does not show, a provider's second name for one, is not tested by it. */
export async function readApi(server: TestServer): Promise<Api> {
	const { body: document } = await server.call("GET", "/v1/openapi.json", { key: null });
	const paths = Object.entries<Record<string, Schema>>(document.paths);
	const operations = paths.flatMap(([path, methods]) =>
		Object.entries(methods).map(([method, found]) => readOperation(path, method, found)),
	);
	const ajv = new Ajv({ strict: false, validateFormats: false });
	ajv.addSchema(document, "document");
	return { operations, faultOf: (operation, answer) => faultOf(ajv, document, operation, answer) };
}

/** The path with its parameters filled in. Throws for a parameter that nothing is known for. */
export function pathOf(operation: Operation, values: Record<string, string>): string {
	return operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
		const value = values[name];
		if (value === undefined) throw new Error(`No value is known for {${name}} of ${operation.path}.`);
		return encodeURIComponent(value);
	});
}

/** For a walk that does them all: reads first, deletions last and from the leaves up. */
export function inSafeOrder(operations: Operation[]): Operation[] {
	const rank = ({ method, path }: Operation) =>
		["GET", "PUT", "PATCH", "POST", "DELETE"].indexOf(method) * 1000 - path.length;
	return [...operations].sort((one, other) => rank(one) - rank(other));
}

function readOperation(path: string, method: string, found: Schema): Operation {
	const [security] = found.security ?? [];
	const inQuery = (found.parameters ?? []).filter((parameter: Schema) => parameter.in === "query");
	return {
		id: found.operationId,
		method: method.toUpperCase(),
		path,
		params: [...path.matchAll(/\{(\w+)\}/g)].map((match) => String(match[1])),
		queryNames: inQuery.map((parameter: Schema) => parameter.name),
		querySchemas: Object.fromEntries(inQuery.map(({ name, schema }: Schema) => [name, schema])),
		isPublic: found.security?.length === 0,
		scope: security?.bearer?.[0] ?? null,
		description: found.description ?? "",
		bodySchema: found.requestBody?.content["application/json"]?.schema ?? null,
		isBodyRequired: found.requestBody?.required ?? false,
		statuses: Object.keys(found.responses).map(Number),
	};
}

function faultOf(ajv: Ajv, document: Schema, operation: Operation, answer: Answer): string | null {
	const method = operation.method.toLowerCase();
	const response = document.paths[operation.path][method].responses[answer.status];
	if (!response) return `status ${answer.status} is not in the document: ${answer.text}`;
	const type = answer.headers.get("content-type") ?? "";
	if (!/^application\/json/.test(type)) return `answers ${type}`;
	const place = operation.path
		.replaceAll("~", "~0")
		.replaceAll("/", "~1")
		.replace(/[{}]/g, encodeURIComponent);
	const pointer = `document#/paths/${place}/${method}/responses/${answer.status}/content/application~1json/schema`;
	const validate = ajv.getSchema(pointer);
	if (!validate) return `status ${answer.status} has no schema`;
	return validate(answer.body) ? null : ajv.errorsText(validate.errors);
}
