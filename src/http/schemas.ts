import type { Static, TSchema } from "@sinclair/typebox";
import { Ajv } from "ajv";
import fastJsonStringify, { type Schema } from "fast-json-stringify";
import type { FastifyInstance } from "fastify";
import { refusalOf } from "./error-handler.ts";
import { ErrorWire } from "./wire.ts";

type Serializer = ReturnType<typeof fastJsonStringify>;

const shared = { removeAdditional: false, useDefaults: false, allErrors: false, strict: false } as const;
// Compiling a schema costs milliseconds, and many routes share one (every refusal, above all): each is compiled
// once for the process.
const body = new Ajv({ ...shared, coerceTypes: false });
const text = new Ajv({ ...shared, coerceTypes: true });
const serializers = new WeakMap<object, Serializer>();

/** Query and path values arrive as text and are coerced; a body is taken as it is. Nothing is removed. */
export function useSchemas(app: FastifyInstance): void {
	app.addSchema(ErrorWire);
	app.setValidatorCompiler(({ schema, httpPart }) =>
		(httpPart === "body" ? body : text).compile(schema as object),
	);
	app.setSerializerCompiler(({ schema }) => {
		const known = serializers.get(schema as object);
		if (known) return known;
		const serializer = fastJsonStringify(schema as Schema, { schema: { Error: ErrorWire as Schema } });
		serializers.set(schema as object, serializer);
		return serializer;
	});
}

/** What a route would take as its body, for callers that come another way. Throws the route's refusal. */
export function requireBody<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> {
	if (!body.validate(schema, value)) throw refusalOf(body.errors?.[0]);
	return value as Static<Schema>;
}
