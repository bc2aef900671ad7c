import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { type Auth0UserDocument, generateAuth0Users } from "../fixtures/auth0/users.ts";

export type FakeAuth0Options = {
	users: number | Auth0UserDocument[];
	/** Requests to the API that are answered in any second; none by default. */
	ratePerSecond?: number;
	/** 0, the default, takes a free one. */
	port?: number;
};

export type FakeAuth0 = Awaited<ReturnType<typeof startFakeAuth0>>;

type Answer = { status: number; body: unknown; headers?: Record<string, string> };
type Call = { method: string; path: string; query: URLSearchParams; authorization: string | undefined };

type State = {
	domain: string;
	clientId: string;
	clientSecret: string;
	users: Map<string, Auth0UserDocument>;
	requests: { method: string; path: string; query: Record<string, string>; status: number }[];
	/** Tokens that are good, and the scopes in them. */
	tokens: Map<string, Set<string>>;
	scopes: string[];
	faults: Answer[];
	ratePerSecond: number | null;
	second: { at: number; taken: number };
	held: { pagesBefore: number; onReached: () => void; released: Promise<void> } | null;
	quirks: { ignoresQuery: boolean };
};

/** Of one search: the documentation of `GET /api/v2/users`. */
const resultsMax = 1_000;

/**
 * Auth0's token endpoint and Management API of 2026-06-25, as far as the server uses them: real HTTP, real state,
 * and they refuse what Auth0 refuses: a wrong client or audience, a token without the scope, a page beyond the
 * first thousand results, more calls than the limit allows.
 */
export async function startFakeAuth0(options: FakeAuth0Options) {
	const state = createState(options);
	const server = createServer((request, response) => void serve(state, request, response));
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	const { domain, clientId, clientSecret, users, requests, quirks } = state;
	return {
		origin: `http://127.0.0.1:${port}`,
		tenant: domain.split(".")[0] ?? "",
		credentials: { domain, client_id: clientId, client_secret: clientSecret },
		users,
		requests,
		quirks,
		/** How often a token was asked for and given. */
		tokensIssued: () =>
			requests.filter(({ path, status }) => path === "/oauth/token" && status === 200).length,
		/** What the client may do from its next token on. */
		grantScopes(scopes: string[]): void {
			state.scopes = scopes;
		},
		/** As when the client's grant is taken away: no token is good any more. */
		revokeTokens: () => state.tokens.clear(),
		...faultHooks(state),
		async close(): Promise<void> {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

function createState({ users, ratePerSecond }: FakeAuth0Options): State {
	const documents = typeof users === "number" ? generateAuth0Users(users) : users;
	return {
		domain: "kits-tenant.eu.auth0.com",
		clientId: "client_of_the_fake",
		clientSecret: "secret-of-the-fake-never-to-be-shown",
		users: new Map(documents.map((user) => [user.user_id, user])),
		requests: [],
		tokens: new Map(),
		scopes: ["read:users"],
		faults: [],
		ratePerSecond: ratePerSecond ?? null,
		second: { at: 0, taken: 0 },
		held: null,
		quirks: { ignoresQuery: false },
	};
}

function faultHooks(state: State) {
	return {
		/** The next `times` requests are answered with this status. */
		failNext(status: number, times = 1, headers: Record<string, string> = {}): void {
			const answer = { ...refusal(status, "fault_of_the_fake", "Something went wrong"), headers };
			state.faults.push(...Array.from({ length: times }, () => answer));
		},
		/** Holds the answer to the nth page of users from now on, until `release`. */
		holdPage(nth: number): { reached: Promise<void>; release: () => void } {
			const reached = Promise.withResolvers<void>();
			const released = Promise.withResolvers<void>();
			state.held = { pagesBefore: nth - 1, onReached: reached.resolve, released: released.promise };
			return { reached: reached.promise, release: released.resolve };
		},
	};
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = new URL(request.url ?? "/", "http://fake.invalid");
	const { authorization } = request.headers;
	const call: Call = {
		method: request.method ?? "GET",
		path: url.pathname,
		query: url.searchParams,
		authorization,
	};
	const body = Buffer.concat(await request.toArray()).toString("utf8");
	const answer = state.faults.shift() ?? limited(state, call) ?? answerTo(state, call, body, request);
	const query = Object.fromEntries(call.query);
	state.requests.push({ method: call.method, path: call.path, query, status: answer.status });
	// A page of all users is sorted; the check of a client and a count are not.
	if (call.query.has("sort") && answer.status === 200) await holdIfAsked(state);
	response.writeHead(answer.status, {
		"content-type": "application/json",
		...rateHeaders(state),
		...answer.headers,
	});
	response.end(JSON.stringify(answer.body));
}

async function holdIfAsked(state: State): Promise<void> {
	const held = state.held;
	if (held === null) return;
	held.pagesBefore -= 1;
	if (held.pagesBefore >= 0) return;
	state.held = null;
	held.onReached();
	await held.released;
}

/** The limit of the API; the token endpoint has its own. */
function limited(state: State, { path }: Call): Answer | null {
	if (state.ratePerSecond === null || !path.startsWith("/api/")) return null;
	const at = Math.floor(Date.now() / 1000);
	if (state.second.at !== at) state.second = { at, taken: 0 };
	state.second.taken += 1;
	if (state.second.taken <= state.ratePerSecond) return null;
	return refusal(429, "too_many_requests", "Global limit has been reached");
}

function rateHeaders({ ratePerSecond, second }: State): Record<string, string> {
	if (ratePerSecond === null) return {};
	return {
		"x-ratelimit-limit": String(ratePerSecond),
		"x-ratelimit-remaining": String(Math.max(ratePerSecond - second.taken, 0)),
		"x-ratelimit-reset": String(second.at + 1),
	};
}

function answerTo(state: State, call: Call, body: string, request: IncomingMessage): Answer {
	if (call.path === "/oauth/token") return issueToken(state, call, readForm(body, request));
	if (!call.path.startsWith("/api/v2/")) return refusal(404, "not_found", "Not Found");
	const [, token = ""] = /^Bearer (.+)$/.exec(call.authorization ?? "") ?? [];
	const scopes = state.tokens.get(token);
	if (scopes === undefined) return refusal(401, "invalid_token", "Invalid token");
	if (!scopes.has("read:users")) {
		return refusal(403, "insufficient_scope", "Insufficient scope, expected any of: read:users");
	}
	if (call.method !== "GET") return refusal(405, "method_not_allowed", "Method not allowed");
	if (call.path === "/api/v2/users") return listUsers(state, call.query);
	const [, id] = /^\/api\/v2\/users\/([^/]+)$/.exec(call.path) ?? [];
	const user = state.users.get(decodeURIComponent(id ?? ""));
	return user === undefined
		? refusal(404, "inexistent_user", "The user does not exist.")
		: { status: 200, body: user };
}

function readForm(body: string, request: IncomingMessage): Record<string, string> {
	if (request.headers["content-type"]?.startsWith("application/json")) return JSON.parse(body);
	return Object.fromEntries(new URLSearchParams(body));
}

/** The token endpoint's refusals have another form than the API's. */
function issueToken(state: State, { method }: Call, form: Record<string, string>): Answer {
	const refused = (status: number, error: string, error_description: string): Answer => ({
		status,
		body: { error, error_description },
	});
	if (method !== "POST") return refusal(404, "not_found", "Not Found");
	if (form.grant_type !== "client_credentials") {
		return refused(403, "unsupported_grant_type", `Unsupported grant type: ${form.grant_type}`);
	}
	if (form.client_id !== state.clientId || form.client_secret !== state.clientSecret) {
		return refused(401, "access_denied", "Unauthorized");
	}
	if (form.audience !== `https://${state.domain}/api/v2/`) {
		return refused(403, "access_denied", `Service not found: ${form.audience}`);
	}
	const access_token = `token_${randomBytes(12).toString("hex")}`;
	state.tokens.set(access_token, new Set(state.scopes));
	const scope = state.scopes.join(" ");
	return { status: 200, body: { access_token, expires_in: 86_400, scope, token_type: "Bearer" } };
}

function listUsers(state: State, query: URLSearchParams): Answer {
	const perPage = readInteger(query.get("per_page") ?? "50");
	const page = readInteger(query.get("page") ?? "0");
	if (perPage === null || perPage > 100) return invalid("per_page: Expected at most 100");
	if (page === null) return invalid("page: Expected an integer");
	if ((page + 1) * perPage > resultsMax) {
		return refusal(400, "invalid_paging", "You can only page through the first 1000 records.");
	}
	const q = query.get("q");
	const from = q === null ? "" : /^created_at:\[(\S+) TO \*\]$/.exec(q)?.[1];
	if (from === undefined || query.get("search_engine") === "v2") return invalid("q: cannot be understood");
	const sort = query.get("sort");
	if (sort !== null && sort !== "created_at:1") return invalid("sort: this fake knows created_at:1");
	const users = [...state.users.values()]
		.filter((user) => state.quirks.ignoresQuery || String(user.created_at) >= from)
		.sort((left, right) => compare(String(left.created_at), String(right.created_at)));
	const start = page * perPage;
	const found = users.slice(start, start + perPage).map((user) => withFields(user, query.get("fields")));
	if (query.get("include_totals") !== "true") return { status: 200, body: found };
	const totals = { start, limit: perPage, length: found.length, total: users.length };
	return { status: 200, body: { ...totals, users: found } };
}

function withFields(user: Auth0UserDocument, fields: string | null): object {
	if (fields === null) return user;
	const wanted = fields.split(",");
	return Object.fromEntries(Object.entries(user).filter(([name]) => wanted.includes(name)));
}

function compare(left: string, right: string): number {
	return left < right ? -1 : left > right ? 1 : 0;
}

function readInteger(text: string): number | null {
	return /^\d+$/.test(text) ? Number(text) : null;
}

function invalid(message: string): Answer {
	return refusal(400, "invalid_query_string", `Query validation error: ${message}`);
}

function refusal(statusCode: number, errorCode: string, message: string): Answer {
	return { status: statusCode, body: { statusCode, error: "Refused", message, errorCode } };
}

/** `node test/fakes/auth0.ts --users 12345 --port 4012`: until it is interrupted. */
async function main(): Promise<void> {
	const { values } = parseArgs({
		options: { users: { type: "string", default: "100" }, port: { type: "string", default: "0" } },
	});
	const fake = await startFakeAuth0({ users: Number(values.users), port: Number(values.port) });
	process.stdout.write(`${fake.origin}\n`);
}

if (import.meta.main) await main();
