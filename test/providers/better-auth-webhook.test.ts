import { describe, expect, it } from "vitest";
import { interpret, readWebhook, verifyWebhook } from "../../src/providers/better-auth/webhook.ts";
import type { InboundEvent } from "../../src/providers/provider.ts";
import {
	betterAuthUser,
	pluginDeliveries,
	signedSimply,
	signedStandard,
	simpleDeliveries,
} from "../fixtures/better-auth/webhooks.ts";

const secret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const now = new Date("2026-03-05T12:00:00.000Z");
const { id } = betterAuthUser();

type Headers = Record<string, string>;

function judge({ body, headers }: { body: string; headers: Headers }, secrets = [secret]) {
	return verifyWebhook({ rawBody: Buffer.from(body), headers, secrets, now });
}

function read(delivery: unknown, headers: Headers = {}, includePrivateMetadata = false): InboundEvent {
	const text = typeof delivery === "string" ? delivery : JSON.stringify(delivery);
	const [event] = readWebhook(Buffer.from(text), headers, { includePrivateMetadata }) ?? [];
	if (event === undefined) throw new Error("The webhook was not read.");
	return event;
}

describe("the signature of a Better Auth webhook", () => {
	const simple = signedSimply(simpleDeliveries["user.created"], secret);
	const standard = signedStandard(pluginDeliveries["user.created"], secret, { at: now });

	it("is the hex HMAC-SHA256 of the raw body under the whole secret as text", () => {
		// Computed once with OpenSSL: printf '{"event":"user.created"}' | openssl dgst -sha256 -hmac "whsec_dGVzdA=="
		const signature = "9ecaf092697997ae8552aff60037cab78711afc9fca99e56d4d0d517f2b1d6d8";
		const vector = { body: '{"event":"user.created"}', headers: { "x-better-auth-signature": signature } };
		expect(judge(vector, ["whsec_dGVzdA=="])).toBe("genuine");
		expect(judge(vector, ["dGVzdA=="])).toBe("bad_signature");
		expect(judge(simple)).toBe("genuine");
		expect(judge(simple, ["another", secret])).toBe("genuine");
		const upper = simple.headers["x-better-auth-signature"].toUpperCase();
		expect(judge({ ...simple, headers: { "x-better-auth-signature": upper } })).toBe("genuine");
	});

	it("is refused for another body, another secret, no secret, or one that is empty", () => {
		expect(judge({ ...simple, body: `${simple.body} ` })).toBe("bad_signature");
		expect(judge(simple, ["another"])).toBe("bad_signature");
		expect(judge(simple, [])).toBe("bad_signature");
		expect(judge(signedSimply("{}", ""), [""])).toBe("bad_signature");
	});

	it("may be that of Standard Webhooks, which then alone counts", () => {
		expect(judge(standard)).toBe("genuine");
		const late = signedStandard(pluginDeliveries["user.created"], secret, {
			at: new Date(now.getTime() - 301_000),
		});
		expect(judge(late)).toBe("stale");
		const both = { ...late, headers: { ...late.headers, ...signedSimply(late.body, secret).headers } };
		expect(judge(both)).toBe("stale");
		const forged = { ...simple, headers: { ...simple.headers, ...standard.headers } };
		expect(judge(forged)).toBe("bad_signature");
	});

	it("is missing without either header", () => {
		expect(judge({ body: simple.body, headers: {} })).toBe("missing_signature");
		expect(judge({ body: simple.body, headers: { "x-better-auth-signature": "" } })).toBe(
			"missing_signature",
		);
		expect(judge({ body: simple.body, headers: { "webhook-id": "msg_1" } })).toBe("missing_signature");
	});
});

describe("a Better Auth webhook", () => {
	it("in the simple form is known by its bytes: the same are the same event, others are not", () => {
		const first = read(simpleDeliveries["user.created"]);
		expect(first).toMatchObject({ type: "user.created", instance: null });
		expect(first.providerEventId).toMatch(/^sha256:[0-9a-f]{64}$/);
		expect(read(simpleDeliveries["user.created"], { "webhook-id": "forged" }).providerEventId).toBe(
			first.providerEventId,
		);
		expect(read(`${JSON.stringify(simpleDeliveries["user.created"])} `).providerEventId).not.toBe(
			first.providerEventId,
		);
	});

	it("under Standard Webhooks is known by its id", () => {
		const { headers } = signedStandard(pluginDeliveries["user.created"], secret, { id: "msg_7", at: now });
		expect(read(pluginDeliveries["user.created"], headers).providerEventId).toBe("msg_7");
	});

	it("happened when its body says, else when its user was changed, else when it was signed", () => {
		const { headers } = signedStandard({}, secret, { at: now });
		const at = (delivery: object, given = headers) => read(delivery, given).occurredAt?.toISOString() ?? null;
		const user = { id };
		expect(at({ event: "user.deleted", user, timestamp: 1_772_600_000_000 })).toBe(
			"2026-03-04T04:53:20.000Z",
		);
		expect(at({ event: "user.updated", user: betterAuthUser() })).toBe("2026-03-02T10:30:00.250Z");
		expect(at({ event: "user.deleted", user })).toBe(now.toISOString());
		expect(at({ event: "user.deleted", user }, {} as typeof headers)).toBeNull();
	});

	it.each([
		"{}",
		'{"event":"user.created"}',
		'{"user":{"id":"1"}}',
		'{"event":"","user":{}}',
		'{"event":"user created","user":{}}',
		'{"event":5,"user":{}}',
		'{"event":"user.created","user":[]}',
		'{"event":"user.created","user":"1"}',
		"null",
		"[]",
		"{",
	])("is not what an application sends when its body is %s", (body) => {
		expect(readWebhook(Buffer.from(body), {}, { includePrivateMetadata: false })).toBeNull();
	});

	it("is kept without tokens, passwords, codes, addresses and private metadata, at any depth", () => {
		const delivery = simpleDeliveries["user.updated, with all that must not be kept"];
		const kept = JSON.stringify(read(delivery).document);
		for (const secretPart of ["scrypt", "totp-", "one two", "-token", "203.0", "Mozilla", "private-salary"]) {
			expect(kept).not.toContain(secretPart);
		}
		expect(kept).toContain('"twoFactorEnabled":true');
		expect(kept).toContain('"providerId":"github"');
		expect(JSON.stringify(read(delivery, {}, true).document)).toContain("private-salary");
	});
});

describe("what a Better Auth webhook means", () => {
	const meaning = (delivery: unknown, headers: Headers = {}) => interpret(read(delivery, headers));

	it.each(Object.entries({ ...simpleDeliveries, "from the plugin": pluginDeliveries["user.created"] }))(
		"%s",
		(_, delivery) => {
			expect(meaning(delivery)).toMatchSnapshot();
		},
	);

	it("names are cut at the first white space, unless the application keeps them apart", () => {
		const names = (fields: object) => {
			const change = meaning({ event: "user.created", user: { ...betterAuthUser(), name: null, ...fields } });
			if (change?.kind !== "created") throw new Error("No user was read.");
			return [change.user.firstName, change.user.lastName];
		};
		expect(names({ name: "  Ada  van den Brandt " })).toEqual(["Ada", "van den Brandt"]);
		expect(names({ name: "Plato" })).toEqual(["Plato", null]);
		expect(names({ name: "   " })).toEqual([null, null]);
		expect(names({})).toEqual([null, null]);
		expect(names({ name: "A B", lastName: "Noor" })).toEqual([null, "Noor"]);
	});

	it("a deletion counts from the later of its own time and the user's last change", () => {
		const deleted = (timestamp: string | undefined, updatedAt?: string) =>
			meaning({ type: "user.deleted", data: { id, updatedAt }, timestamp })?.version.toISOString();
		const [early, late] = ["2026-03-04T08:00:00.000Z", "2026-03-04T08:00:01.000Z"];
		expect(deleted(early)).toBe(early);
		expect(deleted(early, late)).toBe(late);
		expect(deleted(late, early)).toBe(late);
		expect(deleted(undefined, early)).toBe(early);
	});

	it("is nothing without a user's id, or with one that cannot be stored", () => {
		for (const user of [{}, { id: "" }, { id: 7 }, { id: "a\u0000b" }, { id: "x".repeat(256) }]) {
			expect(
				meaning({ event: "user.updated", user: { ...betterAuthUser(), id: undefined, ...user } }),
			).toBeNull();
		}
	});

	it("is never a request for users that came back as an event", () => {
		expect(meaning({ type: "users.export", data: { id } })).toBeNull();
	});
});
