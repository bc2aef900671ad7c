import { ProviderError } from "../errors.ts";
import {
	createProviderHttp,
	hostNotAllowed,
	type ProviderAnswer,
	type ProviderCall,
	type ProviderHttp,
	type TenantHosts,
} from "../http.ts";
import type { Credentials, ExternalUser, InterpretOptions, UserPage } from "../provider.ts";
import { createPace, type Pace } from "./pace.ts";
import { redactObject } from "./redact.ts";
import { provider, readTenantClient, type TenantClient, tenantNameOf } from "./tenant.ts";
import { createTokens, type Grant, type Tokens } from "./tokens.ts";
import {
	type Auth0User,
	isGrant,
	isUser,
	isUsers,
	isUserTotals,
	toExternalUser,
	toMoment,
	usersMax,
} from "./wire.ts";

/** The most that it gives of one search. */
const resultsMax = 1_000;
const pageDeadlineMs = 30_000;
/** Of the calls that somebody waits for. */
const checkDeadlineMs = 4_000;

type ReadOptions = InterpretOptions & { signal: AbortSignal };

export type Auth0Client = {
	identify(credentials: Credentials): Promise<{ externalId: string | null }>;
	listUsers(credentials: Credentials, cursor: string | null, options: ReadOptions): Promise<UserPage>;
	countUsers(credentials: Credentials, signal: AbortSignal): Promise<number>;
	fetchUser(credentials: Credentials, userId: string, options: ReadOptions): Promise<ExternalUser | null>;
};

type Reach = { http: ProviderHttp; tokens: Tokens; pace: Pace; originOf(domain: string): string };

/**
 * Auth0's Management API of 2026-06-25, as far as we use it. Every call throws ProviderError. Without an `origin` of
 * the operator's, each tenant's own domain is called, through the address guard.
 */
export function createAuth0Client(options: { origin: string | null; hosts: TenantHosts }): Auth0Client {
	const { origin, hosts } = options;
	const originOf = (domain: string) => origin ?? `https://${domain}`;
	const http = createProviderHttp({
		provider,
		credential: "client id and secret",
		readVendorCode,
		...(origin === null ? { connect: hosts.connect } : {}),
	});
	const requestToken = (client: TenantClient) => fetchToken(http, originOf(client.domain), client);
	const reach: Reach = { http, originOf, pace: createPace(), tokens: createTokens(requestToken) };
	return {
		identify: (credentials) => identify(reach, hosts, requestToken, credentials),
		listUsers: (credentials, cursor, readOptions) => listUsers(reach, credentials, cursor, readOptions),
		countUsers: (credentials, signal) => countUsers(reach, credentials, signal),
		fetchUser: (credentials, userId, readOptions) => fetchUser(reach, credentials, userId, readOptions),
	};
}

/** Checks the domain, the client, and that it may read users. Always with a new token: the old may outlive its client. */
async function identify(
	{ http, originOf }: Reach,
	hosts: TenantHosts,
	requestToken: (client: TenantClient) => Promise<Grant>,
	credentials: Credentials,
): Promise<{ externalId: string | null }> {
	const client = readTenantClient(credentials);
	if (!(await hosts.isAllowed(client.domain))) throw hostNotAllowed(provider);
	const { token } = await requestToken(client);
	const query = { per_page: 1, page: 0, fields: "user_id", include_fields: "true" };
	const call = { origin: originOf(client.domain), path: "/api/v2/users", query, deadlineMs: checkDeadlineMs };
	await http.request(authorized(call, token)).catch(explain);
	return { externalId: tenantNameOf(client.domain) };
}

/**
 * One page of all users, oldest first. A search never gives more than 1,000, and its later pages shift whenever a
 * user is deleted: so each page is the first one of the search for those created at or after the last known. Only
 * users of one same millisecond, more than a page of them, are read by page number.
 */
async function listUsers(
	reach: Reach,
	credentials: Credentials,
	cursor: string | null,
	options: ReadOptions,
): Promise<UserPage> {
	const at: Position = cursor === null ? beginning : JSON.parse(cursor);
	const call = {
		path: "/api/v2/users",
		query: {
			per_page: usersMax,
			page: at.page,
			sort: "created_at:1",
			search_engine: "v3",
			q: `created_at:[${at.from} TO *]`,
		},
	};
	const { json } = await ask(reach, readTenantClient(credentials), call, options.signal);
	if (!isUsers(json)) throw unexpected("Auth0 gave a list of users that we cannot read.");
	const next = json.length < usersMax ? null : advance(at, json);
	const seen = new Set(at.seen);
	const users = json.filter((user) => !seen.has(user.user_id)).map((user) => toUser(user, options));
	return { users, cursor: next === null ? null : JSON.stringify(next) };
}

/** From where the next search begins, what page of it is wanted, and whom of that moment we have already. */
type Position = { from: string; page: number; seen: string[] };

const beginning: Position = { from: new Date(0).toISOString(), page: 0, seen: [] };

/** Throws when the list goes back, which a search that ignores its query would do for ever. */
function advance(at: Position, users: readonly Auth0User[]): Position {
	const createdAt = users.map((user) => toMoment(user.created_at)?.toISOString() ?? "");
	const last = createdAt.at(-1) ?? "";
	if (createdAt.some((moment) => moment < at.from || moment > last)) {
		throw unexpected("Auth0's list of users does not advance.");
	}
	const ofLast = users.filter((_, index) => createdAt[index] === last).map((user) => user.user_id);
	if (last > at.from) return { from: last, page: 0, seen: ofLast };
	const page = at.page + 1;
	if (page * usersMax >= resultsMax) {
		throw unexpected(
			"1,000 users or more were created in one millisecond: Auth0 has no way to list them all.",
		);
	}
	return { from: last, page, seen: [...new Set([...at.seen, ...ofLast])] };
}

async function countUsers(reach: Reach, credentials: Credentials, signal: AbortSignal): Promise<number> {
	const query = { per_page: 1, page: 0, include_totals: "true", fields: "user_id", include_fields: "true" };
	const { json } = await ask(reach, readTenantClient(credentials), { path: "/api/v2/users", query }, signal);
	if (!isUserTotals(json)) throw unexpected("Auth0 did not say how many users there are.");
	return json.total;
}

async function fetchUser(
	reach: Reach,
	credentials: Credentials,
	userId: string,
	options: ReadOptions,
): Promise<ExternalUser | null> {
	// A path would lead elsewhere with these.
	if (userId === "." || userId === "..") return null;
	const call = { path: `/api/v2/users/${encodeURIComponent(userId)}` };
	try {
		const { json } = await ask(reach, readTenantClient(credentials), call, options.signal);
		if (!isUser(json)) throw unexpected("Auth0 gave a user that we cannot read.");
		return json.user_id === userId ? toUser(json, options) : null;
	} catch (error) {
		if (error instanceof ProviderError && error.reason === "not_found") return null;
		throw error;
	}
}

/** A token can be revoked before its time: one that is refused is renewed once. */
async function ask(
	{ http, tokens, pace, originOf }: Reach,
	client: TenantClient,
	call: ProviderCall,
	signal: AbortSignal,
): Promise<ProviderAnswer> {
	const full = { ...call, origin: originOf(client.domain), deadlineMs: pageDeadlineMs, signal };
	const attempt = (token: string) =>
		pace.run(client.domain, signal, () => http.request(authorized(full, token)));
	const token = await tokens.get(client);
	try {
		return await attempt(token);
	} catch (error) {
		if (!(error instanceof ProviderError) || error.reason !== "unauthorized") return explain(error);
		await tokens.forget(client, token);
	}
	return attempt(await tokens.get(client)).catch(explain);
}

async function fetchToken(http: ProviderHttp, origin: string, client: TenantClient): Promise<Grant> {
	const { domain, clientId, clientSecret } = client;
	const form = {
		grant_type: "client_credentials",
		client_id: clientId,
		client_secret: clientSecret,
		audience: `https://${domain}/api/v2/`,
	};
	const call: ProviderCall = {
		method: "POST",
		origin,
		path: "/oauth/token",
		form,
		deadlineMs: checkDeadlineMs,
	};
	const { json } = await http.request(call).catch(explain);
	if (!isGrant(json)) throw unexpected("Auth0 gave no token that we can read.");
	return { token: json.access_token, expiresAtMs: Date.now() + json.expires_in * 1000 };
}

/** Says what is to be done about a refusal that Auth0's status alone does not tell. */
function explain(error: unknown): never {
	if (!(error instanceof ProviderError) || error.reason !== "forbidden") throw error;
	const sentence =
		"Auth0 does not let this client read users: authorize it for the Management API with the scope read:users, and name the tenant's own domain, not a custom one.";
	const { status, vendorCode } = error;
	throw new ProviderError("forbidden", sentence, {
		provider,
		...(status === undefined ? {} : { status }),
		...(vendorCode === undefined ? {} : { vendorCode }),
	});
}

function toUser(user: Auth0User, options: InterpretOptions): ExternalUser {
	// The fields that the guard promises are never among those removed.
	return toExternalUser(redactObject(user, options) as Auth0User);
}

function authorized(call: ProviderCall, token: string): ProviderCall {
	return { ...call, headers: { authorization: `Bearer ${token}` } };
}

function unexpected(sentence: string): ProviderError {
	return new ProviderError("unexpected_answer", sentence, { provider });
}

/** `{error, error_description}` of the token endpoint, `{statusCode, error, message, errorCode}` of the API. */
function readVendorCode(json: unknown): unknown {
	if (typeof json !== "object" || json === null) return undefined;
	if ("errorCode" in json) return json.errorCode;
	return "error" in json ? json.error : undefined;
}
