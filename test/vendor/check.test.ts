import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkVendor, type Vendor } from "./check.ts";

const thing = {
	type: "object",
	required: ["id"],
	properties: { id: { type: "string" }, note: { $ref: "#/words/note" } },
};

/** Two documents of one service, in both forms that vendors write, with the oddities that they have. */
const openApi = {
	openapi: "3.0.3",
	words: { note: { type: "string", nullable: true, enum: ["a", "a", "b", null] } },
	paths: {
		"/v1/things": {
			post: {
				parameters: [{ name: "limit", in: "query", schema: { type: "number" } }],
				requestBody: {
					required: true,
					content: {
						"application/json": {
							schema: {
								type: "object",
								required: ["name"],
								properties: { name: { oneOf: [{ type: "string" }, { minLength: 1 }] } },
								additionalProperties: false,
							},
						},
					},
				},
				responses: { 200: { content: { "application/json": { schema: thing } } }, 202: {} },
			},
		},
	},
};

const swagger = {
	swagger: "2.0",
	basePath: "/api",
	words: openApi.words,
	paths: {
		"/v1/things": {
			post: {
				parameters: [
					{ name: "limit", in: "query", type: "integer" },
					{ name: "body", in: "body", required: true, schema: { type: "object", required: ["name"] } },
				],
				responses: { 200: { schema: thing }, 202: {} },
			},
		},
	},
};

describe.each([
	["OpenAPI 3", openApi, ""],
	["Swagger 2", swagger, "/api"],
])("a vendor's document in %s", (_, document, base) => {
	const path = `${base}/v1/things`;

	it("agrees with a right request and a right answer", async () => {
		const report = await judge(document, [{ path: `${path}?limit=5` }], { body: { id: "1", note: null } });
		expect(report).toEqual({ exchanges: 1, operations: ["POST /v1/things"], faults: [] });
	});

	it.each<[request: { query?: string; body?: object | null }, answer: GivenAnswer, fault: string]>([
		[{ query: "?limit=many" }, {}, "the query/limit: must be"],
		[{ query: "?size=5" }, {}, "the query: must NOT have additional properties (size)"],
		[{ body: {} }, {}, "the request's body: must have required property 'name' (name)"],
		[{ body: null }, {}, "the request has no body"],
		[{}, { body: { note: "a" } }, "the answer 200: must have required property 'id' (id)"],
		[{}, { body: { id: "1", note: "c" } }, "the answer 200/note: must be equal to one of the allowed values"],
		[{}, { status: 202 }, "the answer 202 has a body, and the document none"],
		[{}, { status: 200, body: undefined }, "the answer 200 has no body"],
		[{}, { status: 201 }, "the status 201 is not in the document"],
	])("finds the fault in %j answered %j", async ({ query = "", body = { name: "x" } }, answer, fault) => {
		const report = await judge(document, [{ path: path + query, body }], answer);
		expect(report.faults.join("\n")).toContain(`POST /v1/things: ${fault}`);
	});

	it("finds an operation that it does not have, unless it is an exception that is made", async () => {
		const calls = [{ path: "/v2/others/7" }];
		expect((await judge(document, calls, {})).faults).toEqual([
			"POST /v2/others/7: the document has no such operation",
		]);
		const undocumented = { "POST /v2/others/{id}": "not in the subset" };
		expect((await judge(document, calls, {}, { undocumented })).faults).toEqual([]);
		expect((await judge(document, [{ path }], { body: { id: "1" } }, { undocumented })).faults).toEqual([
			"POST /v2/others/{id}: is listed as undocumented, and was not called so",
		]);
	});
});

describe("the check of a vendor", () => {
	it("takes a parameter that is an exception, which then has to be sent", async () => {
		const undocumentedParameters = { "POST /v1/things?size": "read by the vendor's own code" };
		const calls = [{ path: "/v1/things?size=5" }];
		expect((await judge(openApi, calls, {}, { undocumentedParameters })).faults).toEqual([]);
		expect((await judge(openApi, [{ path: "/v1/things" }], {}, { undocumentedParameters })).faults).toEqual([
			"POST /v1/things?size: is listed as undocumented, and was not called so",
		]);
	});

	it("reads a null in an answer as nothing where the document has no word for it", async () => {
		const calls = [{ path: "/v1/things" }];
		const answer = { body: { id: "1", size: null, parts: [{ id: null }] } };
		const document = structuredClone(openApi);
		Object.assign(
			document.paths["/v1/things"].post.responses[200].content["application/json"].schema.properties,
			{
				size: { type: "number" },
			},
		);
		expect((await judge(document, calls, answer)).faults).toHaveLength(1);
		expect((await judge(document, calls, answer, { nullIsAbsent: true })).faults).toEqual([]);
		expect(
			(await judge(document, calls, { body: { id: null } }, { nullIsAbsent: true })).faults,
		).toHaveLength(1);
	});

	it("does not pass an exercise that makes no call", async () => {
		expect((await judge(openApi, [], {})).faults).toEqual(["the exercise made no call"]);
	});

	it("takes the statuses that a vendor gives everywhere, and no others", async () => {
		const calls = [{ path: "/v1/things" }];
		const vendor = { commonStatuses: [429] };
		expect((await judge(openApi, calls, { status: 429 }, vendor)).faults).toEqual([]);
		expect((await judge(openApi, calls, { status: 500 }, vendor)).faults).toHaveLength(1);
	});
});

type Call = { path: string; body?: object | null };
type GivenAnswer = { status?: number; body?: object | undefined };

/** Calls a server that answers everything the same, and judges what was said. */
async function judge(document: object, calls: Call[], answer: GivenAnswer, changes: Partial<Vendor> = {}) {
	const given = { status: 200, body: { id: "1" }, ...answer };
	const server = createServer((_, response) => {
		response.writeHead(given.status, { "content-type": "application/json" });
		response.end(given.body === undefined ? undefined : JSON.stringify(given.body));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	onTestFinished(() => void server.close());
	const { port } = server.address() as AddressInfo;
	const vendor: Vendor = {
		name: "Things",
		document: "things.json",
		undocumented: {},
		commonStatuses: [],
		async exercise(record) {
			const origin = await record(`http://127.0.0.1:${port}`);
			for (const { path, body = { name: "x" } } of calls) {
				const headers = { "content-type": "application/json" };
				const init = { method: "POST", headers, body: body === null ? null : JSON.stringify(body) };
				await (await fetch(origin + path, init)).text();
			}
		},
		...changes,
	};
	return checkVendor(vendor, document as Record<string, unknown>);
}
