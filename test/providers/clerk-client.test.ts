import { afterEach, describe, expect, it } from "vitest";
import { createClerk } from "../../src/providers/clerk/index.ts";
import { ProviderError } from "../../src/providers/errors.ts";
import type { AuthProvider, ExternalUser, UserPage } from "../../src/providers/provider.ts";
import { type FakeClerk, type FakeClerkOptions, startFakeClerk } from "../fakes/clerk.ts";
import { generateUsers } from "../fixtures/clerk/users.ts";

const secretKey = "sk_test_ZG9ub3RsZWFr";
const running: FakeClerk[] = [];

afterEach(async () => {
	await Promise.all(running.splice(0).map((fake) => fake.close()));
});

async function start(users: FakeClerkOptions["users"]): Promise<{ fake: FakeClerk; clerk: AuthProvider }> {
	const fake = await startFakeClerk({ users, secretKey, instanceId: "ins_test" });
	running.push(fake);
	return { fake, clerk: createClerk({ origin: fake.origin }) };
}

function listPage(clerk: AuthProvider, cursor: string | null, changes = {}): Promise<UserPage> {
	if (clerk.listUsers === null) throw new Error("Clerk has a backfill.");
	const options = { includePrivateMetadata: false, signal: new AbortController().signal, ...changes };
	return clerk.listUsers({ secret_key: secretKey }, cursor, options);
}

async function listAll(clerk: AuthProvider): Promise<ExternalUser[]> {
	const users: ExternalUser[] = [];
	let cursor: string | null = null;
	do {
		const page: UserPage = await listPage(clerk, cursor);
		users.push(...page.users);
		cursor = page.cursor;
	} while (cursor !== null);
	return users;
}

async function failure(promise: Promise<unknown>): Promise<ProviderError> {
	const error = await promise.then(
		() => null,
		(thrown: unknown) => thrown,
	);
	if (!(error instanceof ProviderError))
		throw new Error("It did not fail as a provider does.", { cause: error });
	expect(`${error.message} ${error.vendorCode} ${error.stack} ${JSON.stringify(error)}`).not.toContain(
		secretKey,
	);
	return error;
}

describe("a Clerk secret key", () => {
	it("is checked at the provider and names its instance", async () => {
		const { fake, clerk } = await start(1);
		expect(await clerk.identify({ secret_key: secretKey })).toEqual({ externalId: "ins_test" });
		expect(fake.requests).toMatchObject([
			{
				path: "/v1/instance",
				headers: { authorization: `Bearer ${secretKey}`, "clerk-api-version": "2026-05-12" },
			},
		]);
	});

	it("that Clerk does not know is refused, with the vendor's code and our own words", async () => {
		const { clerk } = await start(1);
		const error = await failure(clerk.identify({ secret_key: "sk_test_wrong" }));
		expect(error).toMatchObject({ reason: "unauthorized", status: 401, vendorCode: "clerk_key_invalid" });
		expect(error.message).toBe("Clerk refused the secret key.");
	});

	it("that is missing, or that no header can carry, never reaches Clerk", async () => {
		const { fake, clerk } = await start(1);
		expect((await failure(clerk.identify({}))).reason).toBe("unauthorized");
		expect((await failure(clerk.identify({ secret_key: `${secretKey}\n` }))).reason).toBe("invalid_request");
		expect(fake.requests).toEqual([]);
	});

	it("is checked by the key set where the instance cannot be read; then the instance is unknown", async () => {
		const { fake, clerk } = await start(1);
		fake.quirks.forgetsInstance = true;
		expect(await clerk.identify({ secret_key: secretKey })).toEqual({ externalId: null });
		expect((await failure(clerk.identify({ secret_key: "sk_test_wrong" }))).reason).toBe("unauthorized");
	});

	it("is not judged while Clerk is down", async () => {
		const { fake, clerk } = await start(1);
		fake.failNext(503);
		expect(await failure(clerk.identify({ secret_key: secretKey }))).toMatchObject({
			reason: "unavailable",
			status: 503,
		});
		await fake.close();
		const error = await failure(clerk.identify({ secret_key: secretKey }));
		expect(error).toMatchObject({ reason: "unavailable", status: undefined });
	});
});

describe("listing all users of a Clerk instance", () => {
	it("gives each of 12,345 users once, oldest first, in 25 requests", async () => {
		const { fake, clerk } = await start(12_345);
		const users = await listAll(clerk);
		expect(users.map((user) => user.id)).toEqual(generateUsers(12_345).map((user) => user.id));
		expect(fake.requests).toHaveLength(25);
		expect(fake.requests[0]?.query).toEqual({ limit: "500", order_by: "+created_at" });
		expect(fake.requests[1]?.query).toMatchObject({ starting_after: "user_0000499" });
		expect(users.filter((user) => user.email === null)).toHaveLength(1543);
	});

	it.each([
		[0, 1],
		[499, 1],
		[500, 3],
		[501, 2],
	])("of %i users takes %i requests", async (count, requests) => {
		const { fake, clerk } = await start(count);
		expect(await listAll(clerk)).toHaveLength(count);
		expect(fake.requests).toHaveLength(requests);
	});

	it.each([
		["refuses the cursor", false],
		["says that the list is at its end", true],
	])("misses nobody when the user at the cursor is deleted meanwhile, and Clerk %s", async (_, ends) => {
		const { fake, clerk } = await start(1_100);
		fake.quirks.endsAtUnknownCursor = ends;
		const first = await listPage(clerk, null);
		fake.deleteUser("user_0000003");
		fake.deleteUser("user_0000499");
		const second = await listPage(clerk, first.cursor);
		const third = await listPage(clerk, second.cursor);
		const ids = new Set([...first.users, ...second.users, ...third.users].map((user) => user.id));
		expect(ids.size).toBe(1_100);
		expect(third.cursor).toBeNull();
		expect(ids.has("user_0000500")).toBe(true);
	});

	it("goes on from a stored cursor in another process", async () => {
		const { clerk, fake } = await start(700);
		const { cursor } = await listPage(clerk, null);
		const rest = await listPage(createClerk({ origin: fake.origin }), cursor);
		expect(rest.users).toHaveLength(200);
	});

	it("leaves private metadata out unless it is asked for", async () => {
		const { clerk } = await start(8);
		const without = await listPage(clerk, null);
		expect(JSON.stringify(without)).not.toMatch(/private|redirect-|backup-code/);
		const page = await listPage(clerk, null, { includePrivateMetadata: true });
		expect(page.users[0]?.raw).toMatchObject({ private_metadata: { note: "private-0000000" } });
	});

	it("reads a user as a webhook does", async () => {
		const { fake, clerk } = await start(5);
		const { users } = await listPage(clerk, null);
		const [data] = fake.users.values();
		const envelope = { object: "event", type: "user.created", timestamp: 1_748_779_200_000, data };
		const headers = { "svix-id": "msg_1", "svix-timestamp": "1748779200", "svix-signature": "v1,x" };
		const body = Buffer.from(JSON.stringify(envelope));
		const [event] = clerk.readWebhook(body, headers, { includePrivateMetadata: false }) ?? [];
		expect(event && clerk.interpret(event)).toMatchObject({ user: users[0] });
	});

	it("ends in an error when the API ignores the cursor, not in an endless loop", async () => {
		const { fake, clerk } = await start(1_200);
		fake.quirks.ignoresStartingAfter = true;
		const error = await failure(listAll(clerk));
		expect(error).toMatchObject({
			reason: "unexpected_answer",
			message: "Clerk's list of users does not advance.",
		});
		expect(fake.requests).toHaveLength(2);
	});

	it("tells users who were imported in one moment apart by their ids", async () => {
		const imported = generateUsers(1_200).map((user) => ({ ...user, created_at: 1_748_779_200_000 }));
		const { fake, clerk } = await start(imported);
		expect(new Set((await listAll(clerk)).map((user) => user.id)).size).toBe(1_200);
		fake.quirks.ignoresStartingAfter = true;
		expect((await failure(listAll(clerk))).reason).toBe("unexpected_answer");
	});

	it("says how long to wait when Clerk asks us to slow down", async () => {
		const { fake, clerk } = await start(1);
		fake.rateLimitNext(1, 7);
		expect(await failure(listPage(clerk, null))).toMatchObject({
			reason: "rate_limited",
			retryAfterSeconds: 7,
		});
		fake.rateLimitNext(1);
		expect(await failure(listPage(clerk, null))).toMatchObject({ retryAfterSeconds: 10 });
		expect((await listPage(clerk, null)).users).toHaveLength(1);
	});

	it("refuses an answer that is no list of users", async () => {
		const { fake, clerk } = await start(1);
		fake.updateUser("user_0000000", { first_name: 7 as unknown as string });
		expect((await failure(listPage(clerk, null))).reason).toBe("unexpected_answer");
	});

	it("stops at once when the caller gives up, and that is no failure of Clerk", async () => {
		const { fake, clerk } = await start(1_200);
		const hold = fake.holdPage(2);
		const first = await listPage(clerk, null);
		const controller = new AbortController();
		const second = listPage(clerk, first.cursor, { signal: controller.signal });
		await hold.reached;
		controller.abort(new Error("the process is stopping"));
		await expect(second).rejects.toThrow("the process is stopping");
		hold.release();
		expect((await listPage(clerk, first.cursor)).users).toHaveLength(500);
	});
});

describe("counting the users of a Clerk instance", () => {
	const count = (clerk: AuthProvider) =>
		clerk.countUsers?.({ secret_key: secretKey }, new AbortController().signal) ?? Promise.reject();

	it("takes one request, whatever their number", async () => {
		const { fake, clerk } = await start(1_234);
		expect(await count(clerk)).toBe(1_234);
		expect(fake.requests.map(({ path }) => path)).toEqual(["/v1/users/count"]);
	});

	it("fails as listing does", async () => {
		const { fake, clerk } = await start(1);
		fake.rateLimitNext(1, 7);
		expect(await failure(count(clerk))).toMatchObject({ reason: "rate_limited", retryAfterSeconds: 7 });
		fake.failNext(401);
		expect((await failure(count(clerk))).reason).toBe("unauthorized");
	});
});
