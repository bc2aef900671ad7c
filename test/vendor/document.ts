import { Ajv, type ValidateFunction } from "ajv";
import type { Exchange } from "./recorder.ts";

type Json = Record<string, unknown>;

export type VendorDocument = {
	/** "POST /v1/webhooks", as the document writes the path; null when it has no such operation. */
	operationOf(exchange: Pick<Exchange, "method" | "path">): string | null;
	/** What is wrong with the request and with the answer, in words that show no value; empty when all is right. */
	faultsOf(exchange: Exchange): string[];
};

/**
 * A vendor's OpenAPI 3 or Swagger 2 document as a judge. Vendors' documents are not quite JSON Schema, and not quite
 * right: `nullable` is spelled out, `oneOf` is read as `anyOf` (branches overlap), and repeated enum values are
 * merged. `basePath` stands before the paths where the document does not say so itself.
 */
export function readVendorDocument(source: Json, options: { basePath?: string } = {}): VendorDocument {
	const document = toJsonSchema(source) as Json;
	const context: Context = {
		document,
		basePath: options.basePath ?? String(source.basePath ?? ""),
		ajv: createAjv(document, false),
		coercing: createAjv(document, true),
		compiled: new Map(),
	};
	return {
		operationOf: (exchange) => {
			const found = findOperation(context, exchange);
			return found === null ? null : `${exchange.method} ${found.template}`;
		},
		faultsOf: (exchange) => faultsOf(context, exchange),
	};
}

type Context = {
	document: Json;
	basePath: string;
	ajv: Ajv;
	/** For parameters, which are text on the wire. */
	coercing: Ajv;
	compiled: Map<string, ValidateFunction>;
};

type Operation = { template: string; pointer: string; operation: Json; parameters: Json[]; pathValues: Json };

function createAjv(document: Json, coerceTypes: boolean): Ajv {
	const ajv = new Ajv({
		strict: false,
		validateFormats: false,
		allErrors: true,
		unicodeRegExp: false,
		coerceTypes,
	});
	return ajv.addSchema(document, "document");
}

function faultsOf(context: Context, exchange: Exchange): string[] {
	const found = findOperation(context, exchange);
	if (found === null) return ["the document has no such operation"];
	return [
		...parameterFaults(context, found, exchange),
		...requestBodyFaults(context, found, exchange),
		...answerFaults(context, found, exchange),
	];
}

/** Of several templates that fit, the one with the fewest parameters. */
function findOperation(
	{ document, basePath }: Context,
	{ method, path }: Pick<Exchange, "method" | "path">,
): Operation | null {
	const candidates = Object.entries(document.paths as Record<string, Json>).flatMap(([template, item]) => {
		const operation = item[method.toLowerCase()] as Json | undefined;
		const pathValues = matchPath(template.startsWith(`${basePath}/`) ? template : basePath + template, path);
		if (operation === undefined || pathValues === null) return [];
		const pointer = `/paths/${escapePointer(template)}/${method.toLowerCase()}`;
		const shared = (item.parameters ?? []) as Json[];
		const own = (operation.parameters ?? []) as Json[];
		const parameters = [...shared, ...own].map((each) => resolve(document, each));
		return [{ template, pointer, operation, parameters, pathValues }];
	});
	const byParameters = (left: Operation, right: Operation) =>
		Object.keys(left.pathValues).length - Object.keys(right.pathValues).length;
	return candidates.toSorted(byParameters)[0] ?? null;
}

function matchPath(template: string, path: string): Json | null {
	const wanted = template.split("/");
	const given = path.split("/");
	if (wanted.length !== given.length) return null;
	const values: Json = {};
	for (const [index, part] of wanted.entries()) {
		const name = /^\{(.+)\}$/.exec(part)?.[1];
		if (name !== undefined) values[name] = decodeURIComponent(given[index] ?? "");
		else if (part !== given[index]) return null;
	}
	return values;
}

function escapePointer(key: string): string {
	return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

function resolve(document: Json, value: Json): Json {
	const { $ref } = value;
	if (typeof $ref !== "string") return value;
	const keys = $ref.slice(2).split("/");
	const target = keys.reduce<unknown>((at, key) => {
		return (at as Json)[key.replaceAll("~1", "/").replaceAll("~0", "~")];
	}, document);
	return resolve(document, target as Json);
}

/** A parameter that the document does not have is a fault too: a vendor may refuse it, or pass it over. */
function parameterFaults(context: Context, found: Operation, { query }: Exchange): string[] {
	const given: Json = {};
	for (const name of new Set(query.keys())) {
		const values = query.getAll(name);
		given[name] = isArrayParameter(found, name) ? values : values[0];
	}
	return ["path", "query"].flatMap((place) => {
		const parameters = found.parameters.filter((parameter) => parameter.in === place);
		const schema = {
			type: "object",
			properties: Object.fromEntries(parameters.map((each) => [each.name, schemaOf(each)])),
			required: parameters.filter(({ required }) => required === true).map(({ name }) => name),
			additionalProperties: false,
		};
		const values = place === "path" ? found.pathValues : given;
		return judge(context, `${found.pointer} ${place}`, schema, values, `the ${place}`, context.coercing);
	});
}

function isArrayParameter({ parameters }: Operation, name: string): boolean {
	const parameter = parameters.find((each) => each.in === "query" && each.name === name);
	return parameter !== undefined && schemaOf(parameter).type === "array";
}

/** In OpenAPI 3 a schema of its own; in Swagger 2 the parameter is one, but for what only parameters have. */
function schemaOf(parameter: Json): Json {
	if (parameter.schema !== undefined) return parameter.schema as Json;
	const { name: _, in: __, required: ___, description: ____, ...schema } = parameter;
	return schema;
}

function requestBodyFaults(context: Context, found: Operation, { requestBody }: Exchange): string[] {
	const inBody = found.parameters.find((parameter) => parameter.in === "body");
	const declared = found.operation.requestBody as Json | undefined;
	const schema =
		(inBody?.schema as Json | undefined) ??
		contentSchema(declared === undefined ? undefined : resolve(context.document, declared));
	const isRequired = inBody?.required === true || declared?.required === true;
	if (requestBody === undefined) return isRequired ? ["the request has no body"] : [];
	if (schema === undefined) return ["the request has a body, and the document none"];
	return judge(context, `${found.pointer} request`, schema, requestBody, "the request's body", context.ajv);
}

function answerFaults(context: Context, found: Operation, { status, answerBody }: Exchange): string[] {
	const responses = found.operation.responses as Record<string, Json>;
	const declared = responses[status] ?? responses.default;
	if (declared === undefined) return [`the status ${status} is not in the document`];
	const response = resolve(context.document, declared);
	const schema = (response.schema as Json | undefined) ?? contentSchema(response);
	if (schema === undefined) {
		const isBodyLess = answerBody === undefined || status >= 400;
		return isBodyLess ? [] : [`the answer ${status} has a body, and the document none`];
	}
	if (answerBody === undefined) return [`the answer ${status} has no body`];
	return judge(
		context,
		`${found.pointer} ${status}`,
		schema,
		answerBody,
		`the answer ${status}`,
		context.ajv,
	);
}

function contentSchema(holder: Json | undefined): Json | undefined {
	const content = holder?.content as Record<string, Json> | undefined;
	const media = content?.["application/json"] ?? Object.values(content ?? {})[0];
	return media?.schema as Json | undefined;
}

function judge(
	{ compiled }: Context,
	key: string,
	schema: Json,
	value: unknown,
	what: string,
	ajv: Ajv,
): string[] {
	const validate = compiled.get(key) ?? ajv.compile(absolute(schema) as Json);
	compiled.set(key, validate);
	if (validate(structuredClone(value))) return [];
	return (validate.errors ?? []).map(({ instancePath, message, params }) => {
		const extra = params.additionalProperty ?? params.missingProperty ?? "";
		return `${what}${instancePath}: ${message ?? "is wrong"}${extra === "" ? "" : ` (${extra})`}`;
	});
}

/** A schema that is taken out of its document still points into it. */
function absolute(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(absolute);
	if (typeof value !== "object" || value === null) return value;
	return Object.fromEntries(
		Object.entries(value).map(([key, each]) =>
			key === "$ref" && typeof each === "string" && each.startsWith("#")
				? [key, `document${each}`]
				: [key, absolute(each)],
		),
	);
}

function toJsonSchema(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(toJsonSchema);
	if (typeof value !== "object" || value === null) return value;
	const { nullable, oneOf, exclusiveMinimum, exclusiveMaximum, ...rest } = value as Json;
	const schema = Object.fromEntries(Object.entries(rest).map(([key, each]) => [key, toJsonSchema(each)]));
	if (Array.isArray(schema.enum)) schema.enum = [...new Set(schema.enum)];
	// As names of properties these hold schemas; as words of JSON Schema they hold what is tested for here.
	if (Array.isArray(oneOf)) {
		// A choice of nothing, which Vercel's document has for a removed alternative, chooses nothing.
		if (oneOf.length > 0) schema.anyOf = oneOf.map(toJsonSchema);
	} else if (oneOf !== undefined) schema.oneOf = toJsonSchema(oneOf);
	if (exclusiveMinimum !== undefined && typeof exclusiveMinimum !== "boolean")
		schema.exclusiveMinimum = exclusiveMinimum;
	if (exclusiveMaximum !== undefined && typeof exclusiveMaximum !== "boolean")
		schema.exclusiveMaximum = exclusiveMaximum;
	if (nullable === undefined || nullable === false) return schema;
	return nullable === true
		? { anyOf: [schema, { type: "null" }] }
		: { ...schema, nullable: toJsonSchema(nullable) };
}
