import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Api, type Operation, pathOf, readApi } from "./operations.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
let api: Api;

beforeAll(async () => {
	world = await startWorld();
	api = await readApi(world.server);
});
afterAll(() => world.close());

const refusalShape = {
	error: expect.stringMatching(/\.$/),
	code: expect.stringMatching(/^[a-z_]+\.[a-z_]+$/),
	request_id: expect.stringMatching(/^req_/),
};

function get(path: string) {
	return world.server.call("GET", path, { key: world.mine.key });
}

/** The target goes over the wire as it is given; `fetch` would mend it. */
function raw(method: string, target: string, headers: Record<string, string> = {}) {
	const { promise, resolve, reject } = Promise.withResolvers<{
		status: number;
		allow: string | undefined;
		type: string | undefined;
		// biome-ignore lint/suspicious/noExplicitAny: whatever the route answers
		body: any;
	}>();
	const { hostname, port } = new URL(world.server.url);
	const sent = { method, path: target, hostname, port, headers: { ...headers, "x-api-key": world.mine.key } };
	const asked = request(sent, (response) => {
		const parts: Buffer[] = [];
		response.on("data", (part: Buffer) => parts.push(part));
		response.on("end", () => {
			const text = Buffer.concat(parts).toString();
			const { allow, "content-type": type } = response.headers;
			resolve({ status: response.statusCode ?? 0, allow, type, body: text === "" ? null : JSON.parse(text) });
		});
	});
	asked.on("error", reject).end();
	return promise;
}

describe("an id in a path", () => {
	it.each([
		["x"],
		["%00"],
		["a%00b"],
		["%2e%2e%2f"],
		["%2F"],
		["%E2%98%83"],
		["%F0%9F%92%A9"],
		["'%20or%201=1"],
		["__proto__"],
		["constructor"],
		["null"],
		["-1"],
		["x".repeat(400)],
		["x".repeat(5000)],
	])("that is %j is a 404 everywhere", async (id) => {
		const below = api.operations.filter(({ params, isPublic }) => params.length > 0 && !isPublic);
		for (const operation of below) {
			for (const name of operation.params) {
				const target = pathOf(operation, { ...world.mine.ids, [name]: "\u0001" }).replace("%01", id);
				const answer = await raw(operation.method, target);
				expect([operation.id, name, answer.status, answer.body]).toEqual([
					operation.id,
					name,
					404,
					refusalShape,
				]);
			}
		}
	});

	it("that is well formed but with another prefix, in upper case or cut short is a 404", async () => {
		const { ids } = world.mine;
		const id = ids.projectID ?? "";
		for (const wrong of [ids.orgID, id.toUpperCase(), id.slice(0, -1), `${id}0`, ` ${id}`, id.slice(4)]) {
			const answer = await get(`/v1/projects/${encodeURIComponent(wrong ?? "")}`);
			expect([wrong, answer.status, answer.body]).toEqual([wrong, 404, refusalShape]);
		}
	});

	it("may be percent-encoded, which is undone once", async () => {
		const { ids, projectId } = world.mine;
		const encoded = projectId.replace("_", "%5F");
		expect((await raw("GET", `/v1/projects/${encoded}`)).body.project.id).toBe(projectId);
		expect((await raw("GET", `/v1/projects/${encoded.replace("%", "%25")}`)).status).toBe(404);
		expect((await raw("GET", `/v1%2Fprojects%2F${projectId}`)).status).toBe(404);
		const provider = (name: string) =>
			raw("GET", `/v1/projects/${ids.projectID}/integrations/${name}/events`);
		expect((await provider("%63lerk")).status).toBe(200);
		expect((await provider("%2563lerk")).status).toBe(404);
	});

	it.each([
		"/v1/projects/%",
		"/v1/projects/%zz",
		"/v1/projects/%E2%98",
		"/%",
		"/v1/integrations/clerk/webhook/%",
	])("with a lone percent sign, as in %s, is a 400 and no more", async (target) => {
		const { status, body } = await raw("GET", target);
		expect([status, body]).toEqual([400, { ...refusalShape, code: "url.invalid" }]);
	});
});

describe("a query", () => {
	const lists = () => api.operations.filter(({ queryNames }) => queryNames.includes("cursor"));

	it.each([
		["limit=0", "limit"],
		["limit=251", "limit"],
		["limit=-1", "limit"],
		["limit=1e3", "limit"],
		["limit=1.5", "limit"],
		["limit=abc", "limit"],
		["limit=NaN", "limit"],
		["limit=", "limit"],
		["limit=1&limit=2", "limit"],
		["limit=%00", "limit"],
		["limit=99999999999999999999", "limit"],
		["cursor=garbage", "cursor"],
		["cursor=", "cursor"],
		["cursor=%00", "cursor"],
		["cursor=%", "cursor"],
		["cursor=a&cursor=b", "cursor"],
		[`cursor=${"a".repeat(5000)}`, "cursor"],
		[`cursor=${Buffer.from("org_01h455vb4pex5vsknk084sn02").toString("base64url")}`, "cursor"],
	])("of %s is a 400 that names it, on every list", async (query, field) => {
		expect(lists().length).toBeGreaterThan(9);
		for (const operation of lists()) {
			const { status, body } = await raw("GET", `${pathOf(operation, world.mine.ids)}?${query}`);
			expect([operation.id, status, body]).toEqual([
				operation.id,
				400,
				{ ...refusalShape, error: expect.stringContaining(`\`${field}\``) },
			]);
		}
	});

	it("refuses the cursor of another kind of list", async () => {
		const { server, mine } = world;
		const cursors = new Map<string, string>();
		const prefixes = ["org", "prj", "key", "int", "job", "dep", "whe", "evt", "whd", "inb", "pvw", "aud"];
		for (const prefix of prefixes) {
			const id = `${prefix}_01h455vb4pex5vsknk084sn02q`;
			cursors.set(prefix, Buffer.from(id).toString("base64url"));
		}
		for (const operation of lists()) {
			const path = pathOf(operation, mine.ids);
			const statuses = [];
			for (const cursor of cursors.values()) {
				statuses.push((await server.call("GET", `${path}?cursor=${cursor}`, { key: mine.key })).status);
			}
			const taken = statuses.filter((status) => status === 200);
			const refused = statuses.filter((status) => status === 400);
			// Users have no ids of ours.
			const own = operation.id === "listUsers" ? 0 : 1;
			expect([operation.id, taken.length, refused.length]).toEqual([operation.id, own, cursors.size - own]);
		}
	});

	it("with parameters that nobody knows is answered as if they were not there", async () => {
		for (const operation of lists()) {
			const path = pathOf(operation, world.mine.ids);
			const answer = await raw("GET", `${path}?no_such=1&__proto__=x&constructor=y&[]=&a[b]=c&%00=%00`);
			expect([operation.id, answer.status]).toEqual([operation.id, 200]);
		}
	});
});

describe("a method", () => {
	const paths = () => [...Map.groupBy(api.operations, ({ path }) => path)];

	it("that a path does not take is a 405 whose Allow lists those that it does", async () => {
		for (const [path, operations] of paths()) {
			const own = operations.map(({ method }) => method);
			const allowed = [...own, ...(own.includes("GET") ? ["HEAD"] : [])].sort().join(", ");
			const target = pathOf(operations[0] as Operation, world.mine.ids);
			for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
				if (own.includes(method)) continue;
				const { status, allow, body } = await raw(method, target);
				expect([path, method, status, allow, body]).toEqual([path, method, 405, allowed, refusalShape]);
			}
		}
	});

	it("HEAD answers as GET does, without a body", async () => {
		const { ids } = world.mine;
		for (const operation of api.operations.filter(({ method }) => method === "GET")) {
			const [head, got] = [
				await raw("HEAD", pathOf(operation, ids)),
				await raw("GET", pathOf(operation, ids)),
			];
			expect([operation.id, head.status, head.type, head.body]).toEqual([
				operation.id,
				got.status,
				got.type,
				null,
			]);
		}
	});

	it.each([
		["GET", "/"],
		["GET", "/v1"],
		["GET", "/v2/projects"],
		["POST", "/v1/project"],
		["DELETE", "/v1/nothing/at/all"],
		["GET", "/v1/projects//jobs"],
		["OPTIONS", "/v1/nothing"],
		["PROPFIND", "/v1/projects"],
		["GET", "/.env"],
	])("%s on %s is no route: a 404 in the one shape", async (method, target) => {
		const { status, type, body } = await raw(method, target, { "content-type": "text/plain" });
		expect([status, body]).toEqual([404, refusalShape]);
		expect(type).toContain("application/json");
	});
});
