import { Ajv } from "ajv";
import type { FastifyInstance } from "fastify";

/** Query and path values arrive as text and are coerced; a body is taken as it is. Nothing is removed. */
export function useValidation(app: FastifyInstance): void {
	const shared = { removeAdditional: false, useDefaults: false, allErrors: false, strict: false } as const;
	const body = new Ajv({ ...shared, coerceTypes: false });
	const text = new Ajv({ ...shared, coerceTypes: true });
	app.setValidatorCompiler(({ schema, httpPart }) =>
		(httpPart === "body" ? body : text).compile(schema as object),
	);
}
