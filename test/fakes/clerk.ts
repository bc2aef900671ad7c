import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { Webhook } from "svix";
import { type ClerkUser, generateUsers } from "../fixtures/clerk/users.ts";

export type FakeClerkOptions = {
	users: number | ClerkUser[];
	secretKey?: string;
	instanceId?: string;
	/** 0, the default, takes a free one. */
	port?: number;
};

export type FakeClerk = Awaited<ReturnType<typeof startFakeClerk>>;

type Answer = { status: number; body: unknown; headers?: Record<string, string> };

/** A fault that answers the next `times` requests instead of Clerk. */
type Fault = { times: number; answer: Answer };

type State = {
	secretKey: string;
	instanceId: string;
	users: Map<string, ClerkUser>;
	requests: {
		method: string;
		path: string;
		query: Record<string, string>;
		headers: IncomingMessage["headers"];
	}[];
	faults: Fault[];
	/** Pages of users still to be answered before one is held, and what to do when it is its turn. */
	held: { pagesBefore: number; onReached: () => void; released: Promise<void> } | null;
	quirks: { ignoresStartingAfter: boolean; endsAtUnknownCursor: boolean; forgetsInstance: boolean };
};

/**
 * Clerk's Backend API, version 2026-05-12, as far as the server uses it: real HTTP, real state, and it refuses
 * what Clerk refuses. Where Clerk says nothing (a cursor of a deleted user) it takes the stricter side.
 */
export async function startFakeClerk(options: FakeClerkOptions) {
	const state = createState(options);
	const server = createServer((request, response) => void serve(state, request, response));
	// A client that is slow to ask again finds its connection open.
	server.keepAliveTimeout = 120_000;
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		origin: `http://127.0.0.1:${port}`,
		secretKey: state.secretKey,
		instanceId: state.instanceId,
		users: state.users,
		requests: state.requests,
		quirks: state.quirks,
		...userChanges(state),
		...faultHooks(state),
		signedWebhook: (type: string, data: object, how: SignHow) =>
			signedWebhook(state.instanceId, type, data, how),
		async close(): Promise<void> {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

function createState(options: FakeClerkOptions): State {
	const users = typeof options.users === "number" ? generateUsers(options.users) : options.users;
	return {
		secretKey: options.secretKey ?? "sk_test_fake",
		instanceId: options.instanceId ?? "ins_fake",
		users: new Map(users.map((user) => [user.id, user])),
		requests: [],
		faults: [],
		held: null,
		quirks: { ignoresStartingAfter: false, endsAtUnknownCursor: false, forgetsInstance: false },
	};
}

function userChanges(state: State) {
	return {
		/** Changes a user as the dashboard would; `updated_at` moves on. Returns the new document. */
		updateUser(id: string, changes: Partial<ClerkUser>): ClerkUser {
			const user = state.users.get(id);
			if (user === undefined) throw new Error(`The fake has no user ${id}.`);
			const updated: ClerkUser = { ...user, updated_at: Date.now(), ...changes };
			state.users.set(id, updated);
			return updated;
		},
		/** Deletes a user; returns the `data` of Clerk's `user.deleted`. */
		deleteUser(id: string) {
			if (!state.users.delete(id)) throw new Error(`The fake has no user ${id}.`);
			return { object: "user", id, deleted: true };
		},
	};
}

function faultHooks(state: State) {
	return {
		/** The next `times` requests are answered 429; without `retryAfter` the header is left out. */
		rateLimitNext(times: number, retryAfter?: number | string): void {
			const answer = refusal(429, "too_many_requests", "Too many requests");
			const headers = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
			state.faults.push({ times, answer: { ...answer, headers } });
		},
		failNext(status: number, times = 1): void {
			state.faults.push({ times, answer: refusal(status, "internal_clerk_error", "Something went wrong") });
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

type SignHow = {
	secret: string;
	id?: string;
	/** When the event happened, and when this attempt is signed. */
	at?: Date;
	/** Clerk's own examples give the envelope's time in seconds, its prose in milliseconds. */
	timestampUnit?: "ms" | "s";
};

let lastWebhook = 0;

/** A delivery as Svix makes it for Clerk: the exact body, and headers signed over it. */
export function signedWebhook(instanceId: string, type: string, data: object, how: SignHow) {
	const at = how.at ?? new Date();
	lastWebhook += 1;
	const id = how.id ?? `msg_fake_${process.pid}_${lastWebhook}`;
	const timestamp = how.timestampUnit === "s" ? Math.floor(at.getTime() / 1000) : at.getTime();
	const attributes = { http_request: { client_ip: "203.0.113.7", user_agent: "Mozilla/5.0 (fake)" } };
	const envelope = {
		data,
		event_attributes: attributes,
		instance_id: instanceId,
		object: "event",
		timestamp,
		type,
	};
	const body = JSON.stringify(envelope);
	const headers: Record<string, string> = {
		"content-type": "application/json",
		"svix-id": id,
		"svix-timestamp": String(Math.floor(at.getTime() / 1000)),
		"svix-signature": new Webhook(how.secret).sign(id, at, body),
	};
	return { headers, body };
}

async function serve(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = new URL(request.url ?? "/", "http://fake.invalid");
	const query = Object.fromEntries(url.searchParams);
	const method = request.method ?? "GET";
	state.requests.push({ method, path: url.pathname, query, headers: request.headers });
	const answer = takeFault(state) ?? answerTo(state, method, url, request.headers.authorization);
	if (url.pathname === "/v1/users" && answer.status === 200) await holdIfAsked(state);
	response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
	response.end(JSON.stringify(answer.body));
}

function takeFault(state: State): Answer | null {
	const fault = state.faults[0];
	if (fault === undefined) return null;
	fault.times -= 1;
	if (fault.times <= 0) state.faults.shift();
	return fault.answer;
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

function answerTo(state: State, method: string, url: URL, authorization: string | undefined): Answer {
	if (!authorization?.startsWith("Bearer "))
		return refusal(401, "authorization_header_format_invalid", "Invalid header");
	if (authorization !== `Bearer ${state.secretKey}`) {
		return refusal(401, "clerk_key_invalid", "The provided Clerk Secret Key is invalid");
	}
	if (method !== "GET") return refusal(405, "method_not_allowed", "Method not allowed");
	if (url.pathname === "/v1/instance" && !state.quirks.forgetsInstance) return instance(state);
	if (url.pathname === "/v1/jwks") return keySet(state);
	if (url.pathname === "/v1/users") return listUsers(state, url.searchParams);
	if (url.pathname === "/v1/users/count") {
		return { status: 200, body: { object: "total_count", total_count: state.users.size } };
	}
	const user = state.users.get(/^\/v1\/users\/([^/]+)$/.exec(url.pathname)?.[1] ?? "");
	return user === undefined ? refusal(404, "resource_not_found", "not found") : { status: 200, body: user };
}

function instance(state: State): Answer {
	const document = {
		object: "instance",
		id: state.instanceId,
		environment_type: "development",
		allowed_origins: null,
		workspace_id: null,
	};
	return { status: 200, body: document };
}

function keySet(state: State): Answer {
	const key = { use: "sig", kty: "RSA", kid: state.instanceId, alg: "RS256", n: "AQAB", e: "AQAB" };
	return { status: 200, body: { keys: [key] } };
}

const orderFields = new Set(
	"created_at updated_at email_address web3wallet first_name last_name phone_number username last_active_at last_sign_in_at".split(
		" ",
	),
);

function listUsers(state: State, query: URLSearchParams): Answer {
	const limit = readInteger(query.get("limit") ?? "10");
	if (limit === null || limit < 1 || limit > 500) return invalidParameter("limit");
	const offset = readInteger(query.get("offset") ?? "0");
	if (offset === null) return invalidParameter("offset");
	const createdAfter = readInteger(query.get("created_at_after") ?? "0");
	if (createdAfter === null) return invalidParameter("created_at_after");
	const orderBy = query.get("order_by") ?? "-created_at";
	const field = orderBy.replace(/^[+-]/, "");
	// A "+" that was not percent-encoded arrives as a space, and is refused like any other unknown order.
	if (!orderFields.has(field)) return invalidParameter("order_by");
	const cursor = query.get("starting_after");
	if (cursor !== null && (field !== "created_at" || offset > 0)) return invalidParameter("starting_after");
	if (cursor !== null && !state.users.has(cursor)) {
		return state.quirks.endsAtUnknownCursor ? { status: 200, body: [] } : invalidParameter("starting_after");
	}
	const matching = [...state.users.values()].filter((user) => !(user.created_at <= createdAfter));
	const users = sortUsers(matching, field, orderBy.startsWith("-"));
	const follows = cursor !== null && !state.quirks.ignoresStartingAfter;
	const start = follows ? users.findIndex((user) => user.id === cursor) + 1 : offset;
	return { status: 200, body: users.slice(start, start + limit) };
}

function sortUsers(users: ClerkUser[], field: string, descending: boolean): ClerkUser[] {
	const sorted = users.toSorted((left, right) => {
		return compare(left[field] ?? "", right[field] ?? "") || compare(left.id, right.id);
	});
	return descending ? sorted.reverse() : sorted;
}

function compare(left: unknown, right: unknown): number {
	if (typeof left === "number" && typeof right === "number") return left - right;
	if (String(left) === String(right)) return 0;
	return String(left) < String(right) ? -1 : 1;
}

function readInteger(text: string): number | null {
	return /^\d+$/.test(text) ? Number(text) : null;
}

function invalidParameter(name: string): Answer {
	return refusal(422, "form_param_value_invalid", `${name} does not match one of the allowed values`, {
		param_name: name,
	});
}

function refusal(status: number, code: string, message: string, meta: object = {}): Answer {
	return {
		status,
		body: { errors: [{ message, long_message: message, code, meta }], clerk_trace_id: "trace_fake" },
	};
}

/** `node test/fakes/clerk.ts --users 12345 --port 4011 --secret-key sk_test_demo`: until it is interrupted. */
async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			users: { type: "string", default: "100" },
			port: { type: "string", default: "0" },
			"secret-key": { type: "string", default: "sk_test_fake" },
			"instance-id": { type: "string", default: "ins_fake" },
		},
	});
	const fake = await startFakeClerk({
		users: Number(values.users),
		port: Number(values.port),
		secretKey: values["secret-key"],
		instanceId: values["instance-id"],
	});
	process.stdout.write(`${fake.origin}\n`);
}

if (import.meta.main) await main();
