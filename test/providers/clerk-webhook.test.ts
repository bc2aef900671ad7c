import { Webhook } from "svix";
import { describe, expect, it } from "vitest";
import { createClerk } from "../../src/providers/clerk/index.ts";
import type { InboundEvent, UserChange } from "../../src/providers/provider.ts";
import { signedWebhook } from "../fakes/clerk.ts";
import { generateUser } from "../fixtures/clerk/users.ts";
import { clerkWebhooks } from "../fixtures/clerk/webhooks.ts";

const clerk = createClerk({ origin: "http://127.0.0.1:9" });
const headers = { "svix-id": "msg_1", "svix-timestamp": "1748779205", "svix-signature": "v1,x" };

function read(body: unknown, includePrivateMetadata = false): InboundEvent {
	const rawBody = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
	const [event] = clerk.readWebhook(rawBody, headers, { includePrivateMetadata }) ?? [];
	if (event === undefined) throw new Error("The webhook was not read.");
	return event;
}

function change(body: unknown): Extract<UserChange, { user: unknown }> {
	const found = clerk.interpret(read(body));
	if (found === null || !("user" in found)) throw new Error("The webhook is about no user's data.");
	return found;
}

describe("a Clerk webhook", () => {
	it("is read with its id, type, instance and time", () => {
		expect(read(clerkWebhooks["user.created"])).toMatchObject({
			providerEventId: "msg_1",
			type: "user.created",
			instance: "ins_fixture",
			occurredAt: new Date("2025-06-01T12:00:00.250Z"),
		});
	});

	it("is verified and read as the fake signs it, which svix accepts too", () => {
		const secret = `whsec_${Buffer.alloc(24, 1).toString("base64")}`;
		const at = new Date();
		const { headers: signed, body } = signedWebhook("ins_1", "user.created", generateUser(1), { secret, at });
		expect(() => new Webhook(secret).verify(body, signed)).not.toThrow();
		const input = { rawBody: Buffer.from(body), headers: signed, secrets: [secret], now: at };
		expect(clerk.verifyWebhook(input)).toBe("genuine");
		const events = clerk.readWebhook(input.rawBody, signed, { includePrivateMetadata: false });
		const id = signed["svix-id"];
		expect(events).toMatchObject([{ providerEventId: id, occurredAt: at, instance: "ins_1" }]);
	});

	it("may carry webhook-* headers instead of svix-*", () => {
		const named = { "webhook-id": "msg_2", "webhook-timestamp": "1748779205", "webhook-signature": "v1,x" };
		const body = Buffer.from(JSON.stringify(clerkWebhooks["user.deleted"]));
		const events = clerk.readWebhook(body, named, { includePrivateMetadata: false });
		expect(events).toMatchObject([{ providerEventId: "msg_2" }]);
	});

	it("may give its time in seconds, in milliseconds or not at all", () => {
		const base = clerkWebhooks["session.created"];
		expect(read({ ...base, timestamp: 1_748_779_200 }).occurredAt).toEqual(new Date(1_748_779_200_000));
		expect(read({ ...base, timestamp: 1_748_779_200_250 }).occurredAt).toEqual(new Date(1_748_779_200_250));
		expect(read({ ...base, timestamp: null }).occurredAt).toEqual(new Date(1_748_779_205_000));
		expect(read({ ...base, timestamp: 1e300 }).occurredAt).toEqual(new Date(1_748_779_205_000));
	});

	it.each([
		"",
		"null",
		"[]",
		"42",
		'{"type":"user.created"}',
		'{"type":"","data":{}}',
		'{"data":{}}',
		'{"type":"a","data":[]}',
		'{"type":"a\\u0000","data":{}}',
		'{"type":"a","data":{},"instance_id":"\\u0000"}',
		"{",
	])("is not what Clerk sends when its body is %j", (body) => {
		expect(clerk.readWebhook(Buffer.from(body), headers, { includePrivateMetadata: false })).toBeNull();
	});
});

describe("what a Clerk webhook means", () => {
	it("user.created: the user, of the version of its own updated_at", () => {
		const user = generateUser(0);
		expect(change(clerkWebhooks["user.created"])).toMatchObject({
			kind: "created",
			version: new Date(user.updated_at),
			user: {
				id: "user_0000000",
				email: "member0.0@example.com",
				firstName: "Ada",
				lastName: "Brandt",
				username: "member_0000000",
				imageUrl: "https://images.example.com/0000000.png",
				createdAt: new Date(user.created_at),
				updatedAt: new Date(user.updated_at),
				lastSignInAt: null,
			},
		});
	});

	it("user.updated: the user, with the address marked as primary and not the first one", () => {
		const updated = change(clerkWebhooks["user.updated"]);
		expect(updated).toMatchObject({ kind: "updated", version: new Date("2025-06-01T12:00:00.210Z") });
		expect(updated.user).toMatchObject({ firstName: "Renamed", email: "member4.1@example.com" });
	});

	it("user.deleted: a deletion at the time of the event", () => {
		const event = read(clerkWebhooks["user.deleted"]);
		const version = new Date("2025-06-01T12:00:00.250Z");
		expect(clerk.interpret(event)).toEqual({ kind: "deleted", userId: "user_0000004", version });
	});

	it("user.deleted with a time in seconds counts as the end of its second, after an update in it", () => {
		const event = read({ ...clerkWebhooks["user.deleted"], timestamp: 1_748_779_200 });
		expect(clerk.interpret(event)?.version).toEqual(new Date(1_748_779_200_999));
	});

	it("a user without updated_at has the version of the event", () => {
		const { updated_at: _, ...data } = generateUser(0);
		const { version, user } = change({ ...clerkWebhooks["user.created"], data });
		expect(version).toEqual(new Date("2025-06-01T12:00:00.250Z"));
		expect(user.updatedAt).toBeNull();
	});

	it.each([
		["has no primary address", { primary_email_address_id: null }],
		["names a primary address that is not listed", { primary_email_address_id: "idn_gone" }],
		["lists no addresses", { email_addresses: [] }],
		["leaves the addresses out", { email_addresses: undefined }],
	])("a user who %s has no e-mail", (_, changes) => {
		expect(
			change({ ...clerkWebhooks["user.created"], data: { ...generateUser(0), ...changes } }).user.email,
		).toBeNull();
	});

	it("an empty name is no name", () => {
		const data = { ...generateUser(0), first_name: "", last_name: "", username: "" };
		const { user } = change({ ...clerkWebhooks["user.created"], data });
		expect([user.firstName, user.lastName, user.username]).toEqual([null, null, null]);
	});

	it.each([{}, { id: "" }, { id: 7 }, { id: null }, { id: "user_1", first_name: 7 }])(
		"nothing when the user is malformed: %j",
		(data) => {
			expect(clerk.interpret(read({ ...clerkWebhooks["user.updated"], data }))).toBeNull();
		},
	);

	it.each([
		"session.created",
		"organizationMembership.created",
		"email.created",
		"somethingNew.happened",
	] as const)("nothing for users when it is %s", (type) => {
		expect(clerk.interpret(read(clerkWebhooks[type]))).toBeNull();
	});

	it("the same after the stored document came back from JSON", () => {
		const event = read(clerkWebhooks["user.updated"]);
		const document = JSON.parse(JSON.stringify(event.document)) as Record<string, unknown>;
		expect(clerk.interpret({ ...event, document })).toEqual(clerk.interpret(event));
	});
});

describe("what is kept of a Clerk webhook", () => {
	const kept = (body: unknown, includePrivateMetadata = false) =>
		JSON.stringify(read(body, includePrivateMetadata).document);

	it("holds no private metadata at any depth, unless it is asked for", () => {
		for (const type of ["user.created", "session.created", "organizationMembership.created"] as const) {
			expect(kept(clerkWebhooks[type])).not.toContain("private");
			expect(kept(clerkWebhooks[type], true)).toContain('"private_metadata":{"note":"private-');
		}
		expect(JSON.stringify(change(clerkWebhooks["user.created"]).user.raw)).not.toContain("private");
	});

	it("leaves out the end user's address and browser", () => {
		expect(kept(clerkWebhooks["user.created"])).not.toMatch(/event_attributes|203\.0\.113\.7|Mozilla/);
	});

	it("holds no tokens, one-time codes, sign-in links or texts of messages", () => {
		expect(kept(clerkWebhooks["session.created"])).not.toContain("header.claims.signature");
		expect(kept(clerkWebhooks["organizationInvitation.created"])).not.toContain("invitation-ticket");
		expect(kept(clerkWebhooks["email.created"])).not.toContain("424242");
		expect(kept(clerkWebhooks["sms.created"])).not.toContain("424242");
		const external_accounts = [
			{ id: "eac_1", access_token: "gho_1", token_secret: "ts_1", approved_scopes: "repo" },
		];
		const web3_wallets = [{ verification: { nonce: "once-1", message: "sign once-1", status: "verified" } }];
		const user = { ...generateUser(7), external_accounts, web3_wallets };
		const { raw } = change({ ...clerkWebhooks["user.created"], data: user }).user;
		expect(JSON.stringify(raw)).not.toMatch(/gho_1|ts_1|once-1|backup-code/);
		expect(raw).toMatchObject({ external_accounts: [{ id: "eac_1", approved_scopes: "repo" }] });
	});

	it("keeps the flags of an account and the metadata that the customer made public, word for word", () => {
		const public_metadata = {
			token: "arcade-token",
			url: "https://example.com",
			nested: { secret: "of the soup" },
		};
		const { raw } = change({
			...clerkWebhooks["user.created"],
			data: { ...generateUser(0), public_metadata },
		}).user;
		expect(raw).toMatchObject({ public_metadata, totp_enabled: false, backup_code_enabled: false });
	});

	it("can be stored by Postgres whatever an end user wrote into it", () => {
		const unsafe_metadata = {
			"bad\u0000key": "a\u0000b",
			half: "\ud83d",
			list: ["\udc00"],
			__proto__x: 1,
		};
		const text = JSON.stringify({
			...clerkWebhooks["user.created"],
			data: { ...generateUser(0), unsafe_metadata },
		});
		const { raw } = change(text.replace("__proto__x", "__proto__")).user;
		const stored = JSON.stringify(raw);
		expect(stored).not.toMatch(/\\u0000|\\ud83d"|\\udc00/);
		expect(stored).toContain('"a\ufffdb"');
		expect(stored).toContain('"__proto__":1');
	});

	it("is cut off where it nests too deep to walk", () => {
		const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
		const text = JSON.stringify(clerkWebhooks["somethingNew.happened"]).replace('"new_fixture"', deep);
		expect(kept(text).length).toBeLessThan(1000);
	});
});
