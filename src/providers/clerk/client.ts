import { ProviderError } from "../errors.ts";
import { createProviderHttp, type ProviderCall, type ProviderHttp } from "../http.ts";
import type { Credentials, InterpretOptions, UserPage } from "../provider.ts";
import { redactUser } from "./redact.ts";
import {
	type ClerkUser,
	isClerkCount,
	isClerkInstance,
	isClerkKeySet,
	isClerkUsers,
	toExternalUser,
	usersMax,
} from "./wire.ts";

const provider = "Clerk";
/** The version that answers are guarded against: clerk.com/docs, Backend API, `Clerk-API-Version`. */
const apiVersion = "2026-05-12";
const pageDeadlineMs = 30_000;
/** 500 users with all three kinds of metadata filled to Clerk's 8 KB come near to half of this. */
const pageBytesMax = 32 * 1024 * 1024;

type ListOptions = InterpretOptions & { signal: AbortSignal };

export type ClerkClient = {
	identify(credentials: Credentials): Promise<{ externalId: string | null }>;
	listUsers(credentials: Credentials, cursor: string | null, options: ListOptions): Promise<UserPage>;
	countUsers(credentials: Credentials, signal: AbortSignal): Promise<number>;
};

/** Clerk's Backend API, as far as we use it. Every call throws ProviderError; no secret key is kept here. */
export function createClerkClient(options: { origin: string }): ClerkClient {
	const http = createProviderHttp({
		provider,
		origin: options.origin,
		credential: "secret key",
		readVendorCode: firstErrorCode,
	});
	return {
		identify: (credentials) => identify(http, credentials),
		listUsers: (credentials, cursor, listOptions) => listUsers(http, credentials, cursor, listOptions),
		countUsers: (credentials, signal) => countUsers(http, credentials, signal),
	};
}

/** Checks the key and names its instance; null where the API knows the key but cannot say which instance. */
async function identify(
	http: ProviderHttp,
	credentials: Credentials,
): Promise<{ externalId: string | null }> {
	try {
		const { json } = await http.request(authorized(credentials, { path: "/v1/instance" }));
		if (!isClerkInstance(json))
			throw unexpected("Clerk did not say which instance the secret key belongs to.");
		return { externalId: json.id };
	} catch (error) {
		if (!(error instanceof ProviderError && error.reason === "not_found")) throw error;
	}
	// The key set also needs a good key. Its key ids look like the instance's, but nothing documents that.
	const { json } = await http.request(authorized(credentials, { path: "/v1/jwks" }));
	if (!isClerkKeySet(json)) throw unexpected("Clerk did not give the instance's keys.");
	return { externalId: null };
}

/**
 * One page of all users, oldest first. Paging is by cursor because offsets shift whenever a user is deleted.
 * When the user at the cursor has been deleted meanwhile, the page starts again from that user's moment of creation:
 * users of that same millisecond may then come twice.
 */
async function listUsers(
	http: ProviderHttp,
	credentials: Credentials,
	cursor: string | null,
	options: ListOptions,
): Promise<UserPage> {
	const position = cursor === null ? null : readCursor(cursor);
	const fetch = (from: PageStart) => fetchPage(http, credentials, from, options);
	const users = position === null ? await fetch({}) : await fetchAfter(fetch, position);
	if (position !== null) assertAdvanced(users, position);
	const last = users.at(-1);
	return {
		users: users.map((user) => toExternalUser(redactUser(user, options))),
		cursor: last === undefined || users.length < usersMax ? null : writeCursor(last),
	};
}

type PageStart = { starting_after?: string; created_at_after?: number };

/**
 * The users after a position. What Clerk says to the cursor of a user who was deleted is not documented: a refusal,
 * or a list that is at its end, by which all who follow would be taken for gone. So an end is believed when its user
 * is still there, or when too many share that user's millisecond to see it.
 */
async function fetchAfter(
	fetch: (from: PageStart) => Promise<ClerkUser[]>,
	{ id, createdAtMs }: Position,
): Promise<ClerkUser[]> {
	if (createdAtMs === undefined) return fetch({ starting_after: id });
	const fromSameMoment = () => fetch({ created_at_after: createdAtMs - 1 });
	try {
		const users = await fetch({ starting_after: id });
		if (users.length > 0) return users;
	} catch (error) {
		if (!refusesCursor(error)) throw error;
		return fromSameMoment();
	}
	const users = await fromSameMoment();
	const isHidden = users.length === usersMax && users.every((user) => user.created_at === createdAtMs);
	return isHidden || users.some((user) => user.id === id) ? [] : users;
}

async function fetchPage(
	http: ProviderHttp,
	credentials: Credentials,
	from: PageStart,
	options: ListOptions,
): Promise<ClerkUser[]> {
	const call = authorized(credentials, {
		path: "/v1/users",
		query: { limit: usersMax, order_by: "+created_at", ...from },
		signal: options.signal,
		deadlineMs: pageDeadlineMs,
		responseBytesMax: pageBytesMax,
	});
	const { json } = await http.request(call);
	if (!isClerkUsers(json)) throw unexpected("Clerk gave a list of users that we cannot read.");
	return json;
}

/** An endpoint that does not know the cursor would hand out its first page for ever. */
function assertAdvanced(users: readonly ClerkUser[], position: Position): void {
	const repeats = users.some((user) => user.id === position.id);
	const first = users[0]?.created_at;
	const goesBack =
		typeof first === "number" && position.createdAtMs !== undefined && first < position.createdAtMs - 1;
	if (repeats || goesBack) throw unexpected("Clerk's list of users does not advance.");
}

type Position = { id: string; createdAtMs: number | undefined };

function writeCursor(user: ClerkUser): string {
	const createdAtMs = user.created_at;
	return Number.isSafeInteger(createdAtMs) && Number(createdAtMs) > 0 ? `${user.id}@${createdAtMs}` : user.id;
}

function readCursor(cursor: string): Position {
	const [, id, createdAtMs] = /^(.+)@(\d+)$/.exec(cursor) ?? [];
	return id === undefined ? { id: cursor, createdAtMs: undefined } : { id, createdAtMs: Number(createdAtMs) };
}

function refusesCursor(error: unknown): boolean {
	return (
		error instanceof ProviderError && (error.reason === "invalid_request" || error.reason === "not_found")
	);
}

async function countUsers(
	http: ProviderHttp,
	credentials: Credentials,
	signal: AbortSignal,
): Promise<number> {
	const { json } = await http.request(authorized(credentials, { path: "/v1/users/count", signal }));
	if (!isClerkCount(json)) throw unexpected("Clerk did not say how many users there are.");
	return json.total_count;
}

function authorized(credentials: Credentials, call: ProviderCall): ProviderCall {
	const secretKey = credentials.secret_key;
	if (!secretKey)
		throw new ProviderError("unauthorized", "There is no Clerk secret key to ask with.", { provider });
	return { ...call, headers: { authorization: `Bearer ${secretKey}`, "clerk-api-version": apiVersion } };
}

function unexpected(sentence: string): ProviderError {
	return new ProviderError("unexpected_answer", sentence, { provider });
}

/** Clerk's refusals read `{errors: [{code, message, long_message}], clerk_trace_id}`. */
function firstErrorCode(json: unknown): unknown {
	if (typeof json !== "object" || json === null || !("errors" in json) || !Array.isArray(json.errors))
		return undefined;
	const first: unknown = json.errors[0];
	return typeof first === "object" && first !== null && "code" in first ? first.code : undefined;
}
