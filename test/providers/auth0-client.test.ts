import { afterEach, describe, expect, it } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createTenantHosts } from "../../src/platform/guarded-connector.ts";
import { createAuth0 } from "../../src/providers/auth0/index.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import type { AuthProvider, Credentials, ExternalUser } from "../../src/providers/provider.ts";
import { type FakeAuth0, type FakeAuth0Options, startFakeAuth0 } from "../fakes/auth0.ts";
import { generateAuth0User, generateAuth0Users } from "../fixtures/auth0/users.ts";
import { until } from "../support/until.ts";

const running: FakeAuth0[] = [];

afterEach(async () => {
	await Promise.all(running.splice(0).map((fake) => fake.close()));
});

/** Tenants' hosts, under names that stand for these addresses. */
function hostsAt(...addresses: string[]) {
	const asked: string[] = [];
	const resolver = async (host: string) => {
		asked.push(host);
		const address = addresses[Math.min(asked.length, addresses.length) - 1] ?? "";
		return [{ address, family: 4 as const }];
	};
	return { asked, hosts: createTenantHosts(createAddressGuard({ allow: [], resolver })) };
}

async function start(users: FakeAuth0Options["users"], ratePerSecond?: number) {
	const fake = await startFakeAuth0({ users, ...(ratePerSecond === undefined ? {} : { ratePerSecond }) });
	running.push(fake);
	const auth0 = createAuth0({ origin: fake.origin, hosts: hostsAt("203.0.114.7").hosts });
	return { fake, auth0 };
}

const readOptions = () => ({ includePrivateMetadata: false, signal: new AbortController().signal });

function listPage(auth0: AuthProvider, credentials: Credentials, cursor: string | null, changes = {}) {
	if (auth0.listUsers === null) throw new Error("Auth0 has a backfill.");
	return auth0.listUsers(credentials, cursor, { ...readOptions(), ...changes });
}

function fetchUser(auth0: AuthProvider, credentials: Credentials, userId: string) {
	if (auth0.fetchUser === null) throw new Error("Auth0 gives single users.");
	return auth0.fetchUser(credentials, userId, readOptions());
}

async function listAll(auth0: AuthProvider, credentials: Credentials, afterPage = () => {}) {
	const users: ExternalUser[] = [];
	let cursor: string | null = null;
	do {
		const page = await listPage(auth0, credentials, cursor);
		users.push(...page.users);
		cursor = page.cursor;
		afterPage();
	} while (cursor !== null);
	return users.map((user) => user.id);
}

async function failure(promise: Promise<unknown>): Promise<ProviderError> {
	const error = await promise.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof ProviderError))
		throw new Error("It did not fail as a provider does.", { cause: error });
	expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toMatch(/never-to-be-shown|token_/);
	return error;
}

describe("the credentials of an Auth0 client", () => {
	it("are checked at the tenant, which its domain names", async () => {
		const { fake, auth0 } = await start(1);
		expect(await auth0.identify(fake.credentials)).toEqual({ externalId: "kits-tenant" });
		expect(fake.requests.map(({ path }) => path)).toEqual(["/oauth/token", "/api/v2/users"]);
	});

	it("are refused when the secret is wrong, with the vendor's code and our own words", async () => {
		const { fake, auth0 } = await start(1);
		const error = await failure(auth0.identify({ ...fake.credentials, client_secret: "wrong" }));
		expect(error).toMatchObject({ reason: "unauthorized", status: 401, vendorCode: "access_denied" });
		expect(error.message).toBe("Auth0 refused the client id and secret.");
	});

	it("are refused when the client may not read users, and the sentence says what to do", async () => {
		const { fake, auth0 } = await start(1);
		fake.grantScopes(["read:logs"]);
		const error = await failure(auth0.identify(fake.credentials));
		expect(error).toMatchObject({ reason: "forbidden", status: 403, vendorCode: "insufficient_scope" });
		expect(error.message).toContain("read:users");
		const other = { ...fake.credentials, domain: "another.eu.auth0.com" };
		expect(await failure(auth0.identify(other))).toMatchObject({ reason: "forbidden" });
	});

	it("must be all three, and the domain a host name alone", async () => {
		const { fake, auth0 } = await start(1);
		for (const key of ["domain", "client_id", "client_secret"]) {
			const { [key as "domain"]: _, ...others } = fake.credentials;
			expect((await failure(auth0.identify(others))).message).toContain("together");
		}
		const domains = ["https://a.auth0.com", "a.auth0.com/", "a.auth0.com:8080", "u@a.auth0.com", "localhost"];
		for (const domain of [...domains, "127.0.0.1", "0x7f.1", "[::1]", "a..auth0.com", "a.auth0.com."]) {
			const error = await failure(auth0.identify({ ...fake.credentials, domain }));
			expect(error).toMatchObject({ reason: "invalid_request" });
			expect(error.message).toContain("`credentials.domain`");
		}
		expect(fake.requests).toEqual([]);
	});

	it("may name a custom domain, which does not tell the tenant's name", async () => {
		const { hosts } = hostsAt("203.0.114.7");
		const { fake } = await start(1);
		const auth0 = createAuth0({ origin: fake.origin, hosts });
		const custom = { ...fake.credentials, domain: "login.example.com" };
		// Auth0 knows the API by the tenant's own domain only.
		expect(await failure(auth0.identify(custom))).toMatchObject({ reason: "forbidden" });
	});

	it("are not judged while Auth0 is down", async () => {
		const { fake, auth0 } = await start(1);
		fake.failNext(503);
		expect(await failure(auth0.identify(fake.credentials))).toMatchObject({ reason: "unavailable" });
	});
});

describe("the domain of an Auth0 tenant", () => {
	const credentials = { domain: "kits-tenant.eu.auth0.com", client_id: "c", client_secret: "s" };

	it.each(["127.0.0.1", "10.0.0.5", "169.254.169.254", "100.64.0.1"])(
		"is refused when it stands for %s, before anything is sent",
		async (address) => {
			const { hosts } = hostsAt(address);
			const error = await failure(createAuth0({ origin: null, hosts }).identify(credentials));
			expect(error).toMatchObject({ reason: "invalid_request", status: undefined });
			expect(error.message).toContain("is not allowed");
		},
	);

	it("is refused without asking DNS when it is a local name", async () => {
		const { asked, hosts } = hostsAt("203.0.114.7");
		const auth0 = createAuth0({ origin: null, hosts });
		for (const domain of ["auth0.internal", "a.localhost", "metadata.google.internal"]) {
			const error = await failure(auth0.identify({ ...credentials, domain }));
			expect(error.message).toContain("is not allowed");
		}
		expect(asked).toEqual([]);
	});

	it("is judged again at the connect: a name that turned to a private address is refused", async () => {
		const { asked, hosts } = hostsAt("203.0.114.7", "127.0.0.1");
		const error = await failure(createAuth0({ origin: null, hosts }).identify(credentials));
		expect(error).toMatchObject({ reason: "invalid_request" });
		expect(error.message).toContain("is not allowed");
		expect(asked).toHaveLength(2);
	});
});

describe("listing all users of an Auth0 tenant", () => {
	it("gives each of 2,345 users once, oldest first, with one token and never beyond the first page", async () => {
		const { fake, auth0 } = await start(2_345);
		expect(await listAll(auth0, fake.credentials)).toEqual(
			generateAuth0Users(2_345).map((user) => user.user_id),
		);
		const pages = fake.requests.filter(({ path }) => path === "/api/v2/users");
		expect(pages.length).toBeLessThanOrEqual(25);
		expect(new Set(pages.map(({ query }) => query.page))).toEqual(new Set(["0"]));
		expect(fake.tokensIssued()).toBe(1);
	});

	it.each([0, 99, 100, 101, 199, 200])("gives each of %i users once", async (count) => {
		const { fake, auth0 } = await start(count);
		expect(await listAll(auth0, fake.credentials)).toHaveLength(count);
	});

	it("misses nobody when users are deleted meanwhile", async () => {
		const { fake, auth0 } = await start(450);
		let page = 0;
		const ids = await listAll(auth0, fake.credentials, () => {
			// Of those that were listed already: later pages by number would all shift.
			if (page < 3) for (let index = 0; index < 10; index += 1) fake.users.delete(userId(page * 90 + index));
			page += 1;
		});
		expect(new Set(ids).size).toBe(450);
	});

	it("tells up to 1,000 users of one millisecond apart by pages, and does not pass more over in silence", async () => {
		const imported = (count: number) =>
			generateAuth0Users(count + 50).map((user, index) =>
				index < 50 ? user : { ...user, created_at: "2026-03-01T00:00:00.000Z" },
			);
		const few = await start(imported(850));
		expect(new Set(await listAll(few.auth0, few.fake.credentials)).size).toBe(900);
		const many = await start(imported(1_100));
		expect(await failure(listAll(many.auth0, many.fake.credentials))).toMatchObject({
			reason: "unexpected_answer",
			message: "1,000 users or more were created in one millisecond: Auth0 has no way to list them all.",
		});
	});

	it("ends in an error when the search ignores its query, not in an endless loop", async () => {
		const { fake, auth0 } = await start(300);
		fake.quirks.ignoresQuery = true;
		expect(await failure(listAll(auth0, fake.credentials))).toMatchObject({
			reason: "unexpected_answer",
			message: "Auth0's list of users does not advance.",
		});
	});

	it("goes on from a stored cursor in another process", async () => {
		const { fake, auth0 } = await start(250);
		const first = await listPage(auth0, fake.credentials, null);
		const other = createAuth0({ origin: fake.origin, hosts: hostsAt("203.0.114.7").hosts });
		const second = await listPage(other, fake.credentials, first.cursor);
		expect(second.users[0]?.id).toBe(userId(100));
	});

	it("keeps to the limit: it waits when nothing remains, and is hardly ever refused", async () => {
		const { fake, auth0 } = await start(550, 3);
		expect(await listAll(auth0, fake.credentials)).toHaveLength(550);
		const refused = fake.requests.filter(({ status }) => status === 429);
		expect(refused).toEqual([]);
	});

	it("waits and asks again when it is refused all the same, and gives up in the end", async () => {
		const { fake, auth0 } = await start(3);
		await listAll(auth0, fake.credentials);
		fake.failNext(429, 2, { "retry-after": "1" });
		expect(await listAll(auth0, fake.credentials)).toHaveLength(3);
		fake.failNext(429, 1, { "retry-after": "120" });
		expect(await failure(listAll(auth0, fake.credentials))).toMatchObject({
			reason: "rate_limited",
			retryAfterSeconds: 120,
		});
	});

	it("stops waiting at once when the caller gives up", async () => {
		const { fake, auth0 } = await start(3);
		await listAll(auth0, fake.credentials);
		fake.failNext(429, 1, { "retry-after": "50" });
		const controller = new AbortController();
		const page = listPage(auth0, fake.credentials, null, { signal: controller.signal });
		page.catch(() => undefined);
		await until(async () => fake.requests.at(-1)?.status === 429);
		controller.abort(new Error("the process is stopping"));
		await expect(page).rejects.toThrow("the process is stopping");
	});

	it("renews a token that is not good any more, once", async () => {
		const { fake, auth0 } = await start(3);
		await listAll(auth0, fake.credentials);
		fake.revokeTokens();
		expect(await listAll(auth0, fake.credentials)).toHaveLength(3);
		expect(fake.tokensIssued()).toBe(2);
		fake.failNext(401, 1);
		expect(await listAll(auth0, fake.credentials)).toHaveLength(3);
		expect(fake.tokensIssued()).toBe(3);
	});

	it("leaves app_metadata and tokens of identity providers out, unless private metadata is asked for", async () => {
		const { fake, auth0 } = await start(1);
		expect(JSON.stringify(await listPage(auth0, fake.credentials, null))).not.toMatch(
			/never-to-be-stored|203\.0\.113/,
		);
		const page = await listPage(auth0, fake.credentials, null, { includePrivateMetadata: true });
		expect(page.users[0]?.raw).toMatchObject({ app_metadata: { plan: expect.any(String) } });
		expect(JSON.stringify(page)).not.toContain("access_token");
	});
});

describe("counting the users of an Auth0 tenant", () => {
	it("gives their number, also beyond what one search gives", async () => {
		const { fake, auth0 } = await start(2_345);
		expect(await auth0.countUsers?.(fake.credentials, new AbortController().signal)).toBe(2_345);
	});
});

describe("one user of an Auth0 tenant", () => {
	it("is read by its id as a list gives it", async () => {
		const { fake, auth0 } = await start([generateAuth0User(7, { user_id: "waad|a/b?c#d e" })]);
		const { users } = await listPage(auth0, fake.credentials, null);
		expect(await fetchUser(auth0, fake.credentials, "waad|a/b?c#d e")).toEqual(users[0]);
	});

	it("is null when the tenant knows none of that id", async () => {
		const { fake, auth0 } = await start(1);
		for (const id of ["auth0|unknown", ".", "..", "../users"]) {
			expect(await fetchUser(auth0, fake.credentials, id)).toBeNull();
		}
	});
});

function userId(index: number): string {
	return generateAuth0User(index).user_id;
}
