import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { Answer } from "../support/server.ts";
import { type Api, type Operation, pathOf, readApi, type Schema } from "./operations.ts";
import { sampleOf } from "./samples.ts";
import { idleJobs, startWorld, type World } from "./world.ts";

let world: World;
let api: Api;
/** The operations that read a body of their own fields. */
let writing: Operation[];
/** Those that are called with POST and take no fields. */
let fieldless: Operation[];

beforeAll(async () => {
	world = await startWorld();
	api = await readApi(world.server);
	const guarded = api.operations.filter((operation) => !operation.isPublic);
	writing = guarded.filter((operation) => operation.bodySchema !== null);
	fieldless = guarded.filter(({ method, bodySchema }) => method === "POST" && bodySchema === null);
});
afterAll(() => world.close());

type Sent = NonNullable<Parameters<World["server"]["call"]>[2]>;

/** The operator's token reaches everything: what is left to refuse is the input. */
function send(operation: Operation, sent: Sent): Promise<Answer> {
	return world.server.call(operation.method, pathOf(operation, world.mine.ids), sent);
}

/** Status, code and sentence of a refusal; throws for an answer that is not of the one shape. */
function refusal(operation: Pick<Operation, "id">, answer: Answer) {
	expect([operation.id, answer.text]).toEqual([operation.id, expect.stringContaining('"request_id":"req_')]);
	const { error, code, request_id: requestId, ...more } = answer.body;
	expect([operation.id, error, code, requestId, more]).toEqual([
		operation.id,
		expect.stringMatching(/\S.*\.$/s),
		expect.stringMatching(/^[A-Za-z0-9_]+\.[a-z_]+$/),
		answer.headers.get("x-request-id"),
		{},
	]);
	return { id: operation.id, status: answer.status, code, error };
}

function sampleBody(operation: Operation): Record<string, unknown> {
	return { ...sampleOf(world, operation).body } as Record<string, unknown>;
}

/** The schemas of a body's fields. */
function fieldsOf(operation: Operation): [string, Schema][] {
	return Object.entries(operation.bodySchema.properties ?? operation.bodySchema.else.properties);
}

describe("a body", () => {
	it.each([
		["an unknown field", '"no_such_field":1', "no_such_field"],
		["__proto__", '"__proto__":{"is_admin":true}', "__proto__"],
		["constructor", '"constructor":{"prototype":{}}', "constructor"],
		["a field in other case", '"Name":"x"', "Name"],
		["a field without a name", '"":1', ""],
	])("with %s is a 400 that names it", async (_, member, field) => {
		for (const operation of [...writing, ...fieldless]) {
			const text = JSON.stringify(operation.bodySchema === null ? {} : sampleBody(operation));
			const rawBody = `${text.slice(0, -1)}${text === "{}" ? "" : ","}${member}}`;
			const refused = refusal(operation, await send(operation, { rawBody }));
			expect(refused).toMatchObject({ status: 400, error: expect.stringContaining(`\`${field}\``) });
		}
	});

	it("with a field of the wrong type is a 400 that names it", async () => {
		const values = [null, true, 1.5, "text", [], {}, [{}]];
		let asked = 0;
		for (const operation of writing) {
			for (const [field, schema] of fieldsOf(operation)) {
				for (const value of values.filter((each) => !fits(schema, each))) {
					const answer = await send(operation, { body: { ...sampleBody(operation), [field]: value } });
					const refused = refusal(operation, answer);
					expect([value, refused]).toMatchObject([
						value,
						{ status: 400, error: expect.stringContaining(`\`${field}`) },
					]);
					asked += 1;
				}
			}
		}
		expect(asked).toBeGreaterThan(100);
	});

	it("without a required field is a 400 that names it", async () => {
		for (const operation of writing) {
			const required: string[] = operation.bodySchema.required ?? operation.bodySchema.else?.required ?? [];
			for (const field of required) {
				const { [field]: _, ...rest } = sampleBody(operation);
				const refused = refusal(operation, await send(operation, { body: rest }));
				expect(refused).toMatchObject({ status: 400, error: expect.stringContaining(`\`${field}\``) });
			}
		}
	});

	it.each([
		["malformed JSON", '{"name": '],
		["two values", "{}{}"],
		["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
		["an array", "[]"],
		["a string", '"x"'],
		["a number", "1"],
		["null", "null"],
	])("of %s is a 400", async (_, rawBody) => {
		for (const operation of [...writing, ...fieldless]) {
			const refused = refusal(operation, await send(operation, { rawBody }));
			expect(refused).toMatchObject({
				status: 400,
				code: "body.invalid",
				error: expect.stringMatching(/body/),
			});
		}
	});

	it("of 300 KiB is a 413, and one that takes batches refuses more than 5 MiB", async () => {
		for (const operation of [...writing, ...fieldless]) {
			const isBatch = operation.id === "publishEvents";
			const rawBody = `{"name":"${"x".repeat((isBatch ? 5 * 1024 : 300) * 1024)}"}`;
			const refused = refusal(operation, await send(operation, { rawBody }));
			expect(refused).toMatchObject({ status: 413, code: "body.too_large" });
		}
	});

	it("of another content type is a 415", async () => {
		const types = ["text/plain", "application/x-www-form-urlencoded", "application/xml", "nonsense"];
		for (const operation of [...writing, ...fieldless]) {
			for (const type of types) {
				const answer = await send(operation, { rawBody: "{}", headers: { "content-type": type } });
				expect(refusal(operation, answer)).toMatchObject({ status: 415, code: "body.unsupported" });
			}
		}
	});

	it("nested a hundred thousand deep, or with halves of surrogate pairs and NUL, is never a 500", async () => {
		const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
		const values = [deep, '"\\ud800"', '"\\u0000"', '"a\\udfffb"', "1e400", "-1", `"${"é".repeat(20_000)}"`];
		for (const operation of writing) {
			for (const [field] of fieldsOf(operation)) {
				for (const value of values) {
					const { [field]: _, ...rest } = sampleBody(operation);
					const members = [JSON.stringify(rest).slice(1, -1), `"${field}":${value}`].filter(Boolean);
					const answer = await send(operation, { rawBody: `{${members.join(",")}}` });
					const isData = operation.id === "publishEvents" && field === "data";
					if (isData) expect([operation.id, value.slice(0, 20), answer.status]).toContain(202);
					else
						expect([field, value.slice(0, 20), refusal(operation, answer)]).toMatchObject([
							field,
							value.slice(0, 20),
							{ status: expect.toSatisfy((status: number) => status === 400 || status === 404) },
						]);
				}
			}
		}
	});
});

describe("a POST without a body", () => {
	it.each([
		["with", { "content-type": "application/json" }],
		["without", {}],
	])("%s a content type is taken where no field is required", async (_, headers) => {
		const optional = writing.filter(({ method, isBodyRequired }) => method === "POST" && !isBodyRequired);
		expect(optional.map(({ id }) => id)).toContain("rotateWebhookEndpointSecret");
		expect(fieldless.length).toBeGreaterThan(3);
		for (const operation of [...optional, ...fieldless]) {
			await makeRetryable();
			const answer = await bare(operation, headers);
			expect([operation.id, answer.status]).toEqual([operation.id, sampleOf(world, operation).status]);
		}
	});

	it("is a 400 that names the field where one is required", async () => {
		const required = writing.filter(({ method, isBodyRequired }) => method === "POST" && isBodyRequired);
		expect(required.length).toBeGreaterThan(4);
		for (const operation of required) {
			const answer = await bare(operation, {});
			expect([operation.id, answer.status, answer.text]).toEqual([
				operation.id,
				400,
				expect.stringMatching(/`\w+`/),
			]);
		}
	});

	async function makeRetryable(): Promise<void> {
		const { server, mine } = world;
		await idleJobs(server, mine.projectId);
		await server.sql("update jobs set state = 'failed' where id = $1", [toUuid(mine.ids.jobID ?? "")]);
	}

	/** Not by `fetch`, which sets headers of its own. */
	function bare(operation: Operation, headers: Record<string, string>) {
		const { server, mine } = world;
		const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
		const authorization = `Bearer ${server.adminToken}`;
		const url = `${server.url}${pathOf(operation, mine.ids)}`;
		const asked = request(url, { method: "POST", headers: { ...headers, authorization } }, (response) => {
			let text = "";
			response.setEncoding("utf8").on("data", (part: string) => {
				text += part;
			});
			response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
		});
		asked.on("error", reject).end();
		return promise;
	}
});

/** Whether the schema's type takes the value; the rest of the schema may still refuse it. */
function fits(schema: Schema, value: unknown): boolean {
	if (schema.type === undefined && schema.anyOf === undefined) return true;
	if (schema.anyOf) return schema.anyOf.some((each: Schema) => fits(each, value));
	const types = [schema.type].flat();
	const isInteger = typeof value === "number" && Number.isInteger(value);
	if (value === null) return types.includes("null");
	if (Array.isArray(value))
		return types.includes("array") && (value.length === 0 || schema.items?.type === "object");
	return types.includes(typeof value) || (isInteger && types.includes("integer"));
}
