import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { eventCatalogue } from "../../src/event-catalogue.ts";

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
const checks = new Map(eventCatalogue().map(({ type, schema }) => [type as string, ajv.compile(schema)]));

/** What an envelope has other than the catalogue says; null when nothing. */
export function faultsOf(envelope: { type: string }): ErrorObject[] | string | null {
	const check = checks.get(envelope.type);
	if (!check) return `${envelope.type} is not in the catalogue`;
	return check(envelope) ? null : (check.errors ?? "refused");
}
