import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scopes } from "../../src/core/principal.ts";
import { sessionClaims, signToken } from "../fakes/clerk-keys.ts";
import { adminOnly, scopeOf } from "./needed-scopes.ts";
import { type Api, inSafeOrder, type Operation, pathOf, readApi } from "./operations.ts";
import { type Sample, sampleOf } from "./samples.ts";
import { addKey, idleJobs, sessionKey, startWorld, type World } from "./world.ts";

let world: World;
let api: Api;
/** The operations behind a credential. */
let guarded: Operation[];

beforeAll(async () => {
	world = await startWorld({ TRUST_PROXY: "true" });
	api = await readApi(world.server);
	guarded = api.operations.filter((operation) => !operation.isPublic);
});
afterAll(() => world.close());

function isOrganizationRoute(operation: Operation): boolean {
	return operation.params.includes("orgID") || operation.id === "createProject";
}

type Sent = NonNullable<Parameters<World["server"]["call"]>[2]>;

function send(operation: Operation, ids: Record<string, string>, sent: Sent) {
	return world.server.call(operation.method, pathOf(operation, ids), sent);
}

/** A body that no operation takes, where one is read at all. */
const badBody = { no_such_field: 1 };

function withBadBody(operation: Operation): Sent {
	return operation.method === "GET" ? {} : { body: badBody };
}

/** Status and code of a refusal by each operation, with those that do not answer as they should. */
async function deviants(
	operations: Operation[],
	ask: (operation: Operation) => ReturnType<typeof send>,
	expected: { status: number; code: RegExp },
): Promise<string[]> {
	const found: string[] = [];
	for (const operation of operations) {
		const answer = await ask(operation);
		const fault = api.faultOf(operation, answer);
		const isRight = answer.status === expected.status && expected.code.test(answer.body?.code);
		if (fault !== null || !isRight)
			found.push(`${operation.id}: ${answer.status} ${answer.text} ${fault ?? ""}`);
	}
	return found;
}

describe("the OpenAPI document", () => {
	it("names every operation once, in camelCase, and has a sample request for it here", () => {
		const ids = api.operations.map((operation) => operation.id);
		expect(ids.filter((id) => !/^[a-z][A-Za-z0-9]*$/.test(id))).toEqual([]);
		expect(new Set(ids).size).toBe(ids.length);
		expect(ids.length).toBeGreaterThan(40);
		for (const operation of api.operations) {
			expect(() => sampleOf(world, operation)).not.toThrow();
			expect(() => pathOf(operation, world.mine.ids)).not.toThrow();
		}
	});

	it("says of each operation which refusals it knows, and which scope it needs", () => {
		for (const operation of guarded) {
			expect(operation.statuses, operation.id).toEqual(
				expect.arrayContaining([400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503]),
			);
			const scope = scopeOf(operation);
			expect([operation.id, operation.scope]).toEqual([operation.id, scope]);
			const sentence = scope === null ? "" : `scope \`${scope}\``;
			expect(operation.description, operation.id).toMatch(/(Needs|Open to) /);
			expect(operation.description, operation.id).toContain(sentence);
		}
	});
});

describe("401", () => {
	it("meets every caller without a credential that is in force, before anything else is said", async () => {
		const { server, mine } = world;
		const revoked = await addKey(server, mine.organizationId, { scopes: ["*"] });
		await server.call("DELETE", `/v1/organizations/${mine.organizationId}/api-keys/${revoked.id}`);
		const expired = await addKey(server, mine.organizationId, { scopes: ["*"] });
		await server.sql("update api_keys set expires_at = clock_now() where key_prefix = $1", [
			expired.key.slice(0, 14),
		]);
		const callers: [string, Sent, RegExp][] = [
			["nobody", { key: null }, /^credential\.missing$/],
			["garbage", { key: "garbage" }, /^credential\.invalid$/],
			["an unknown key", { key: `capy_live_${"a".repeat(40)}` }, /^credential\.invalid$/],
			["a revoked key", { key: revoked.key }, /^credential\.invalid$/],
			["an expired key", { key: expired.key }, /^credential\.invalid$/],
			["basic", { key: null, headers: { authorization: "Basic YTpi" } }, /^credential\.invalid$/],
			["x-api-key", { key: null, headers: { "x-api-key": "garbage" } }, /^credential\.invalid$/],
		];
		for (const [at, [name, sent, code]] of callers.entries()) {
			// Failed authentications are limited by address: each caller has its own.
			const headers = { ...sent.headers, "x-forwarded-for": `198.51.100.${at + 1}` };
			const ids = at % 2 === 0 ? mine.ids : world.theirs.ids;
			const wrong = await deviants(
				guarded,
				(operation) => send(operation, ids, { ...withBadBody(operation), ...sent, headers }),
				{ status: 401, code },
			);
			expect([name, wrong]).toEqual([name, []]);
		}
	});

	it("names the scheme, and a key is taken as X-API-Key too", async () => {
		const { server, mine } = world;
		const refused = await server.call("GET", "/v1/me", { key: null });
		expect(refused.headers.get("www-authenticate")).toBe("Bearer");
		const taken = await server.call("GET", "/v1/me", { key: null, headers: { "x-api-key": mine.key } });
		expect(taken.body.principal.organization_id).toBe(mine.organizationId);
	});
});

describe("404", () => {
	/** Parameters that name a thing of somebody, outermost first. */
	const named = (operation: Operation) => operation.params.filter((name) => name !== "provider");
	const idBearing = () => guarded.filter((operation) => named(operation).length > 0);

	it("meets another organization's key on every id-bearing route, whatever body it sends", async () => {
		expect(idBearing().length).toBeGreaterThan(30);
		const expected = { status: 404, code: /\.not_found$/ };
		const foreign = (operation: Operation) =>
			send(operation, world.theirs.ids, { ...withBadBody(operation), key: world.mine.key });
		expect(await deviants(idBearing(), foreign, expected)).toEqual([]);
	});

	it("comes before 403: a key without the scope and a key of one project learn no more", async () => {
		const { server, mine, theirs } = world;
		const weak = await addKey(server, mine.organizationId, { scopes: ["schema:read"] });
		const ofProject = await addKey(server, mine.organizationId, {
			scopes: ["*"],
			project_id: mine.projectId,
		});
		for (const { key } of [weak, ofProject]) {
			const foreign = (operation: Operation) =>
				send(operation, theirs.ids, { ...withBadBody(operation), key });
			expect(await deviants(idBearing(), foreign, { status: 404, code: /\.not_found$/ })).toEqual([]);
		}
	});

	it("says of a foreign thing below one's own exactly what it says of a thing that never was", async () => {
		const { mine, theirs } = world;
		for (const operation of idBearing()) {
			for (const name of named(operation)) {
				const prefix = mine.ids[name]?.split("_")[0];
				const answers: { status: number; error: string; code: string }[] = [];
				for (const value of [
					theirs.ids[name] ?? "",
					`${prefix}_01h455vb4pex5vsknk084sn02q`,
					"x",
					`${prefix}_`,
				]) {
					const ids = { ...mine.ids, [name]: value };
					const { status, body } = await send(operation, ids, { ...withBadBody(operation), key: mine.key });
					answers.push({ status, error: body.error, code: body.code });
				}
				const same = answers.map(() => answers[0]);
				expect([operation.id, name, answers]).toEqual([operation.id, name, same]);
				expect([operation.id, name, answers[0]?.status]).toEqual([operation.id, name, 404]);
			}
		}
	});
});

describe("403", () => {
	it("meets a key with every scope but the one that the operation needs, before its body is read", async () => {
		const { server, mine } = world;
		const scoped = guarded.filter((operation) => scopeOf(operation) !== null);
		for (const needed of new Set(scoped.map(scopeOf))) {
			const others = scopes.filter((scope) => scope !== needed && scope !== "*");
			const { key } = await addKey(server, mine.organizationId, { scopes: others });
			const asking = scoped.filter((operation) => scopeOf(operation) === needed);
			const wrong = await deviants(
				asking,
				(operation) => send(operation, mine.ids, { ...withBadBody(operation), key }),
				{ status: 403, code: /^scope\.missing$/ },
			);
			expect([needed, wrong]).toEqual([needed, []]);
		}
	});

	it("meets a key of one project on every organization route and on other projects", async () => {
		const { server, mine } = world;
		const { key } = await addKey(server, mine.organizationId, {
			scopes: ["*"],
			project_id: mine.projectId,
		});
		const expected = { status: 403, code: /^project\.limit$/ };
		const own = (operation: Operation) => send(operation, mine.ids, { ...withBadBody(operation), key });
		expect(await deviants(guarded.filter(isOrganizationRoute), own, expected)).toEqual([]);
		const { body } = await server.call("POST", "/v1/projects", { key: mine.key, body: { name: "second" } });
		const ids = { ...mine.ids, projectID: body.project.id };
		const other = (operation: Operation) => send(operation, ids, { ...withBadBody(operation), key });
		const below = guarded.filter(
			({ params }) => params.includes("projectID") && !params.includes("inboundEventID"),
		);
		expect(below.length).toBeGreaterThan(10);
		expect(await deviants(below, other, expected)).toEqual([]);
		const { body: listed } = await server.call("GET", "/v1/projects", { key });
		expect(listed.projects.map(({ id }: { id: string }) => id)).toEqual([mine.projectId]);
	});

	it("meets every key where only the operator may act", async () => {
		const operations = guarded.filter(({ id }) => adminOnly.has(id));
		const asked = (operation: Operation) =>
			send(operation, world.mine.ids, { body: badBody, key: world.mine.key });
		expect(await deviants(operations, asked, { status: 403, code: /^admin\.required$/ })).toEqual([]);
	});
});

describe("a person signed in", () => {
	/** Members read, without personal data, credentials and keys, and change projects. */
	const memberScopes = ["projects:read", "projects:write", "jobs:read", "organizations:read"];
	const adminsOnly = new Set(["createProject", "deleteProject"]);
	const session = (role: string) =>
		signToken(
			sessionKey,
			sessionClaims(2, { id: world.mine.clerkOrganizationId, role, slug: "mine" }, { exp: 4e9 }),
		);

	it("is refused as a member what is kept for admins, before its body is read, and nothing else", async () => {
		for (const operation of guarded) {
			if (adminOnly.has(operation.id)) continue;
			const scope = scopeOf(operation);
			const isOpen = !adminsOnly.has(operation.id) && (scope === null || memberScopes.includes(scope));
			const people = isOpen ? /members and admins|every known caller/ : /admins only/;
			expect(operation.description, operation.id).toMatch(people);
			if (isOpen) continue;
			const sent = { ...withBadBody(operation), key: session("member") };
			const answer = await send(operation, world.mine.ids, sent);
			expect([operation.id, answer.status, answer.body.code]).toEqual([
				operation.id,
				403,
				"role.admin_required",
			]);
		}
		for (const operation of guarded.filter(({ method }) => method === "GET")) {
			const member = await send(operation, world.mine.ids, { key: session("member") });
			const admin = await send(operation, world.mine.ids, { key: session("admin") });
			const isOpen = /members and admins|every known caller/.test(operation.description);
			expect([operation.id, member.status === 403]).toEqual([operation.id, !isOpen]);
			expect([operation.id, admin.status === 403]).toEqual([operation.id, false]);
		}
	});

	it("meets 404 on every id-bearing route of another organization, as an admin too", async () => {
		const asked = (operation: Operation) =>
			send(operation, world.theirs.ids, { ...withBadBody(operation), key: session("admin") });
		const bearing = guarded.filter(({ params }) => params.some((name) => name !== "provider"));
		expect(await deviants(bearing, asked, { status: 404, code: /\.not_found$/ })).toEqual([]);
	});
});

describe("the right scope alone", () => {
	it("is enough for each operation, and every answer is of the shape that the document says", async () => {
		const { server, mine } = world;
		for (const operation of inSafeOrder(api.operations)) {
			const sample = sampleOf(world, operation);
			const key = operation.isPublic ? null : await keyFor(operation, sample);
			if (operation.method !== "GET") await idleJobs(server, mine.projectId);
			const sent = { key, ...(sample.body === undefined ? {} : { body: sample.body }), ...sample.raw };
			const answer = await send(operation, mine.ids, sent);
			const fault = api.faultOf(operation, answer);
			expect([operation.id, answer.status, fault]).toEqual([operation.id, sample.status, null]);
			const caching = operation.path.startsWith("/v1/") ? "no-store" : null;
			expect([operation.id, answer.headers.get("cache-control")]).toEqual([operation.id, caching]);
		}
	});

	async function keyFor(operation: Operation, { alsoNeeds = [] }: Sample): Promise<string> {
		const { server, mine } = world;
		if (adminOnly.has(operation.id)) return server.adminToken;
		const needed = [scopeOf(operation) ?? "schema:read", ...alsoNeeds];
		return (await addKey(server, mine.organizationId, { scopes: needed })).key;
	}
});
