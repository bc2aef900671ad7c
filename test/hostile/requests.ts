import type { Operation, Schema } from "../api/operations.ts";
import { sampleOf } from "../api/samples.ts";
import { addKey, sessionKey, type World } from "../api/world.ts";
import { sessionClaims, signToken } from "../fakes/clerk-keys.ts";
import { messageOf } from "./inbound.ts";
import type { Random } from "./random.ts";
import { mutate, nastyString, nastyValue, toJson, valueFor } from "./values.ts";

export type Caller = {
	name: "owner" | "operator" | "neighbour" | "weak" | "project" | "session" | "nobody" | "garbage";
	headers: Record<string, string>;
};

export type HostileRequest = {
	operation: Operation;
	caller: Caller;
	/** Path and query as they go over the wire. */
	target: string;
	/** Whose the things are that the path names; `odd` when one is not there or malformed. */
	names: "mine" | "theirs" | "odd";
	headers: Record<string, string | string[]>;
	body: string | Buffer | null;
};

/** Ids by the parameter that takes them: those of the world, which stay, and those that were made on the way. */
export type Ids = { fixed: Record<string, string>; made: Map<string, string[]> };

/** Real databases stand behind these; most of them are left out. */
const costly = new Set(["createProject", "createPreviewDatabase", "resetPreviewDatabase"]);

const unknownId = "01h455vb4pex5vsknk084sn02q";

export async function makeCallers(world: World): Promise<Caller[]> {
	const { server, mine, theirs } = world;
	const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
	const weak = await addKey(server, mine.organizationId, { scopes: ["schema:read"] });
	const ofProject = await addKey(server, mine.organizationId, { scopes: ["*"], project_id: mine.projectId });
	const person = { id: mine.clerkOrganizationId, role: "admin", slug: "mine" };
	const session = signToken(sessionKey, sessionClaims(2, person, { exp: 4e9 }));
	return [
		{ name: "owner", headers: bearer(mine.key) },
		{ name: "operator", headers: bearer(server.adminToken) },
		{ name: "neighbour", headers: bearer(theirs.key) },
		{ name: "weak", headers: { "x-api-key": weak.key } },
		{ name: "project", headers: bearer(ofProject.key) },
		{ name: "session", headers: bearer(session) },
		{ name: "nobody", headers: {} },
	];
}

/** The next request of the walk: one operation, with whatever a hostile caller could send to it. */
export function hostileRequest(
	random: Random,
	{ world, operations, callers, ids }: { world: World; operations: Operation[]; callers: Caller[]; ids: Ids },
): HostileRequest {
	const operation = pickOperation(random, operations);
	const [owner, ...others] = callers as [Caller, ...Caller[]];
	const caller = random.chance(0.75) ? owner : pickCaller(random, others);
	const path = pathFor(random, operation, world, ids);
	const known = [...Object.values(ids.fixed), world.receiver.url];
	const message = operation.isPublic && operation.method === "POST" && random.chance(0.7);
	const signed = message ? messageOf(random, operation, world) : null;
	const written = signed ?? { headers: {}, body: bodyFor(random, operation, world, known) };
	return {
		operation,
		caller: operation.isPublic ? { name: "nobody", headers: {} } : caller,
		target: `${signed?.path ?? path.text}${signed?.path ? "" : queryFor(random, operation, known)}`,
		names: path.names,
		headers: { ...contentType(random, written.body), ...oddHeaders(random), ...written.headers },
		body: written.body,
	};
}

function pickOperation(random: Random, operations: Operation[]): Operation {
	const operation = random.pick(operations);
	return costly.has(operation.id) && random.chance(0.6) ? random.pick(operations) : operation;
}

function pickCaller(random: Random, others: Caller[]): Caller {
	if (random.chance(0.85)) return random.pick(others);
	const credential = headerText(nastyString(random)) || "x";
	const headers = random.pick<Record<string, string>>([
		{ authorization: credential },
		{ authorization: `Bearer ${credential}` },
		{ authorization: `Bearer ${"a".repeat(6_000)}` },
		{ "x-api-key": credential },
		{ authorization: "Bearer a.b.c" },
		{ authorization: `Bearer capy_live_${"a".repeat(40)}` },
	]);
	return { name: "garbage", headers };
}

function pathFor(
	random: Random,
	operation: Operation,
	world: World,
	ids: Ids,
): { text: string; names: HostileRequest["names"] } {
	let names: HostileRequest["names"] = "mine";
	const isDeleted = operation.method === "DELETE";
	const text = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
		const chosen = paramFor(random, name, { world, ids, isDeleted });
		if (chosen.names !== "mine" && names === "mine") names = chosen.names;
		return encodeURIComponent(chosen.text.toWellFormed());
	});
	return { text, names };
}

function paramFor(
	random: Random,
	name: string,
	{ world, ids, isDeleted }: { world: World; ids: Ids; isDeleted: boolean },
): { text: string; names: HostileRequest["names"] } {
	const fixed = ids.fixed[name] ?? "";
	const prefix = fixed.split("_")[0];
	// Providers are everybody's, and users' ids are the providers' own.
	const isOwned = name !== "provider" && name !== "userID";
	if (random.chance(0.04)) return { text: world.theirs.ids[name] ?? "", names: isOwned ? "theirs" : "odd" };
	if (random.chance(0.02)) return { text: `${prefix}_${unknownId}`, names: "odd" };
	if (random.chance(0.02)) return { text: nastyString(random) || "x", names: "odd" };
	if (name === "provider") {
		const text = random.pick(["clerk", "auth0", "better-auth", "better_auth", "vercel", "netlify"]);
		return { text, names: "mine" };
	}
	const made = ids.made.get(name) ?? [];
	// What the walk stands on is never deleted.
	if (isDeleted && name !== "orgID")
		return made.length === 0
			? { text: `${prefix}_${unknownId}`, names: "odd" }
			: { text: random.pick(made), names: "odd" };
	return made.length > 0 && random.chance(0.2)
		? { text: random.pick(made), names: "odd" }
		: { text: fixed, names: "mine" };
}

function queryFor(random: Random, operation: Operation, known: readonly string[]): string {
	const pairs = Object.entries(operation.querySchemas).flatMap(([name, schema]: [string, Schema]) =>
		random.chance(name === "project_id" ? 0.9 : 0.3)
			? [[name, valueFor(random, schema, known)] as const]
			: [],
	);
	const odd = random.chance(0.1) ? [[nastyString(random), nastyString(random)] as const] : [];
	const again = pairs[0] && random.chance(0.05) ? [pairs[0]] : [];
	const text = [...pairs, ...odd, ...again]
		.map(([name, value]) =>
			[name, typeof value === "string" ? value : JSON.stringify(value)]
				.map((part) => encodeURIComponent(part.toWellFormed()))
				.join("="),
		)
		.join("&");
	return text === "" ? random.pick(["", "", "", "?", "?&&=", "?a[b]=c"]) : `?${text}`;
}

function bodyFor(
	random: Random,
	operation: Operation,
	world: World,
	known: readonly string[],
): string | Buffer | null {
	if (operation.method === "GET") return null;
	const sample = sampleOf(world, operation).body ?? {};
	switch (random.below(20)) {
		case 0:
			return null;
		case 1:
			return toJson(random, nastyValue(random));
		case 2:
			return random.pick<string | Buffer>([
				"{",
				'{"a":}',
				"\ufeff{}",
				Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
				Buffer.from('{"name":"x"}', "utf16le"),
				`${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`,
				`{"name":"${"x".repeat(250_000)}"}`,
				'{"__proto__":{"is_admin":true},"constructor":{"prototype":{}}}',
				'{"name":"x","name":"y"}',
			]);
		case 3:
		case 4:
			return toJson(random, sample);
		case 5:
		case 6:
		case 7:
		case 8:
		case 9:
			return toJson(random, mutate(random, sample));
		default:
			return operation.bodySchema === null
				? toJson(random, random.chance(0.5) ? {} : nastyValue(random))
				: toJson(random, valueFor(random, operation.bodySchema, known));
	}
}

function contentType(random: Random, body: string | Buffer | null): Record<string, string> {
	if (body === null && random.chance(0.7)) return {};
	const type = random.chance(0.95)
		? "application/json"
		: random.pick([
				"application/json; charset=utf-16",
				"text/plain",
				"application/JSON",
				"multipart/form-data",
				"json",
			]);
	return { "content-type": type };
}

function oddHeaders(random: Random): Record<string, string | string[]> {
	if (random.chance(0.85)) return {};
	return random.pick<Record<string, string | string[]>>([
		{ "x-request-id": headerText(nastyString(random)) },
		{ traceparent: "00-00000000000000000000000000000000-0000000000000000-00" },
		{ accept: "text/html" },
		{ "accept-encoding": "br;q=x, \u00e9" },
		{ origin: "null" },
		{ "x-http-method-override": "DELETE" },
		{ cookie: "a=b; capydb_oauth_x=y" },
		{ host: "evil.example.com" },
		{ "x-forwarded-host": "evil.example.com", "x-forwarded-proto": "javascript" },
		{ "content-encoding": "gzip" },
		{ "if-none-match": "*" },
		{ range: "bytes=0-0" },
		{ "x-api-key": ["one", "two"] },
	]);
}

/** What a header's value may hold at all: a client sends nothing else. */
function headerText(text: string): string {
	return text.replace(/[^\t\u0020-\u007e\u0080-\u00ff]/g, "?").slice(0, 4_000);
}
