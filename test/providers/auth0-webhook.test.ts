import { describe, expect, it } from "vitest";
import { interpret, readWebhook, verifyWebhook } from "../../src/providers/auth0/webhook.ts";
import type { InboundEvent } from "../../src/providers/provider.ts";
import { streamSamples } from "../fixtures/auth0/samples.ts";
import { apiLogEntry, auth0User, logEntry, streamEvent } from "../fixtures/auth0/webhooks.ts";

const secret = "3p8-the-secret-of-one-stream-q7z";
const userId = "auth0|65f0a1b2c3d4e5f6a7b8c9d0";

function readAll(body: unknown, includePrivateMetadata = false): InboundEvent[] | null {
	const text = typeof body === "string" ? body : JSON.stringify(body);
	return readWebhook(Buffer.from(text), {}, { includePrivateMetadata });
}

function read(body: unknown, includePrivateMetadata = false): InboundEvent {
	const [event, ...others] = readAll(body, includePrivateMetadata) ?? [];
	if (event === undefined || others.length > 0) throw new Error("One event was expected.");
	return event;
}

function meaning(body: unknown) {
	const event = read(body);
	const document = JSON.parse(JSON.stringify(event.document)) as Record<string, unknown>;
	return interpret({ ...event, document });
}

describe("the Authorization of an Auth0 delivery", () => {
	const judge = (authorization: string | undefined, secrets = [secret]) =>
		verifyWebhook({ headers: authorization === undefined ? {} : { authorization }, secrets });

	it.each([secret, `Bearer ${secret}`, `bearer ${secret}`, `BEARER  ${secret}`])(
		"is genuine as %j",
		(value) => {
			expect(judge(value)).toBe("genuine");
			expect(judge(value, ["newer", secret])).toBe("genuine");
		},
	);

	it("may be a secret that itself begins with Bearer", () => {
		expect(judge("Bearer x", ["Bearer x"])).toBe("genuine");
	});

	it.each([`${secret}x`, secret.slice(0, -1), secret.toUpperCase(), `Basic ${secret}`, "Bearer", "Bearer "])(
		"is bad as %j",
		(value) => {
			expect(judge(value)).toBe("bad_signature");
		},
	);

	it("is missing when it is not there, and never genuine without a secret", () => {
		expect(judge(undefined)).toBe("missing_signature");
		expect(judge("")).toBe("missing_signature");
		expect(judge(secret, [])).toBe("bad_signature");
		expect(judge("Bearer ", [""])).toBe("bad_signature");
	});
});

describe("an Auth0 delivery", () => {
	it("of an Event Stream is one event, with its id, tenant and time", () => {
		expect(read(streamEvent("user.updated"))).toMatchObject({
			providerEventId: "evt_8sJmQv3Rk1ZpXw5TnYb2Lc",
			type: "user.updated",
			instance: "kits-tenant",
			occurredAt: new Date("2026-02-06T10:00:01.000Z"),
		});
	});

	it("may have the type of the older documentation", () => {
		expect(read(streamEvent("com.auth0.user.created")).type).toBe("user.created");
	});

	it.each([
		["an array", (entries: object[]) => JSON.stringify(entries)],
		["lines", (entries: object[]) => `${entries.map((entry) => JSON.stringify(entry)).join("\n")}\n`],
		[
			"lines with empty ones between",
			(entries: object[]) => entries.map((e) => JSON.stringify(e)).join("\r\n\r\n"),
		],
	])("of a Log Stream as %s is one event an entry", (_, write) => {
		const events = readAll(write([logEntry("ss"), logEntry("sdu"), apiLogEntry("patch", "/api/v2/users/x")]));
		expect(events?.map((event) => event.type)).toEqual(["log.ss", "log.sdu", "log.sapi"]);
		expect(events?.map((event) => event.instance)).toEqual(["kits-tenant", "kits-tenant", "kits-tenant"]);
		expect(new Set(events?.map((event) => event.providerEventId)).size).toBe(3);
	});

	it("of a Log Stream may be a single entry", () => {
		expect(read(logEntry("ss"))).toMatchObject({
			providerEventId: logEntry("ss").log_id,
			occurredAt: new Date("2026-02-06T10:00:02.000Z"),
		});
	});

	it("keeps the entries that can be read beside those that cannot", () => {
		expect(readAll([logEntry("ss"), { surprise: true }, null])).toHaveLength(1);
		expect(readAll(`${JSON.stringify(logEntry("ss"))}\n{broken`)).toHaveLength(1);
	});

	it.each([
		{ event: "user.updated", user: auth0User() },
		{ type: "user.updated", data: auth0User() },
		{ type: "user.updated", user: auth0User() },
	])("of an Action is one event, the same when it is sent again: %#", (post) => {
		const event = read(post);
		expect(event).toMatchObject({ type: "user.updated", occurredAt: new Date("2026-02-06T10:00:00.250Z") });
		expect(read(post).providerEventId).toBe(event.providerEventId);
		const other = JSON.parse(JSON.stringify(post).replace("Kit", "Cat")) as object;
		expect(read(other).providerEventId).not.toBe(event.providerEventId);
	});

	it("cannot pass for a log entry by its type", () => {
		const event = read({ type: "log.sdu", user: auth0User() });
		expect(event.type).toBe("other.log.sdu");
		expect(interpret(event)).toBeNull();
	});

	it.each([
		"",
		"null",
		"[]",
		"42",
		'"text"',
		"{",
		"{}",
		"[{}]",
		"{broken\n{broken",
		'{"type":"user.created"}',
		'{"type":"","user":{}}',
		'{"log_id":"1"}',
	])("is not what Auth0 sends when its body is %j", (body) => {
		expect(readAll(body)).toBeNull();
	});
});

describe("what an Auth0 event means", () => {
	it.each([
		["user.created", "created"],
		["user.updated", "updated"],
	])("%s: the user, of the version of its own updated_at", (type, kind) => {
		expect(meaning(streamEvent(type))).toMatchObject({
			kind,
			version: new Date("2026-02-06T10:00:00.250Z"),
			user: {
				id: userId,
				email: "kits@example.com",
				firstName: "Kit",
				lastName: "Sorrel",
				username: "kits",
				imageUrl: "https://images.example.com/kit.png",
				createdAt: new Date("2026-01-05T09:00:00.000Z"),
				updatedAt: new Date("2026-02-06T10:00:00.250Z"),
				lastSignInAt: new Date("2026-02-01T07:30:00.000Z"),
			},
		});
	});

	it("user.deleted: a deletion at its deleted_at, else at the time of the event", () => {
		const deleted = auth0User({ deleted_at: "2026-02-06T10:00:00.900Z" });
		expect(meaning(streamEvent("user.deleted", deleted))).toEqual({
			kind: "deleted",
			userId,
			version: new Date("2026-02-06T10:00:00.900Z"),
		});
		expect(meaning(streamEvent("user.deleted"))?.version).toEqual(new Date("2026-02-06T10:00:01.000Z"));
	});

	it("the same when an Action posts it", () => {
		const expected = meaning(streamEvent("user.updated"));
		expect(meaning({ event: "user.updated", user: auth0User() })).toEqual(expected);
		expect(meaning({ type: "user.updated", data: auth0User() })).toEqual(expected);
	});

	it("nothing when it is the test of a stream, whose user does not exist", () => {
		expect(meaning(streamEvent("user.created", auth0User(), { a0purpose: "test" }))).toBeNull();
	});

	it("nothing when it is of another type, or its user is malformed", () => {
		expect(meaning(streamEvent("organization.created"))).toBeNull();
		expect(meaning({ event: "post-login", user: auth0User() })).toBeNull();
		for (const changes of [{ user_id: "" }, { user_id: 7 }, { user_id: "a\u0000b" }, { email: 7 }]) {
			expect(meaning(streamEvent("user.updated", auth0User(changes)))).toBeNull();
		}
	});

	it.each(["ss", "sce", "scu", "scpn", "sv", "sscim"])("the log code %s: a user to be fetched", (code) => {
		const version = new Date("2026-02-06T10:00:02.000Z");
		expect(meaning(logEntry(code))).toEqual({ kind: "touched", userId, version });
	});

	it("the log code sdu: a deletion", () => {
		const version = new Date("2026-02-06T10:00:02.000Z");
		expect(meaning(logEntry("sdu"))).toEqual({ kind: "deleted", userId, version });
	});

	it.each(["s", "f", "fs", "fdu", "slo", "fce", "du"])("the log code %s: nothing", (code) => {
		expect(meaning(logEntry(code))).toBeNull();
	});

	it("a log entry without a user or a time: nothing", () => {
		expect(meaning(logEntry("ss", { user_id: null }))).toBeNull();
		expect(meaning(logEntry("ss", { date: "yesterday" }))).toBeNull();
	});

	it.each([
		["patch", "/api/v2/users/auth0%7C65f0a1b2c3d4e5f6a7b8c9d0", undefined, "touched"],
		["DELETE", "/api/v2/users/auth0%7C65f0a1b2c3d4e5f6a7b8c9d0", { statusCode: 204 }, "deleted"],
		["post", "/api/v2/users/auth0%7C65f0a1b2c3d4e5f6a7b8c9d0/identities", undefined, "touched"],
		["delete", "/api/v2/users/auth0%7C65f0a1b2c3d4e5f6a7b8c9d0/identities/x/1", undefined, "touched"],
		[
			"post",
			"/api/v2/users",
			{ statusCode: 201, body: { user_id: userId, email: "kits@example.com" } },
			"touched",
		],
	])("a Management API call %s %s: the user of the path, not the caller", (method, path, response, kind) => {
		expect(meaning(apiLogEntry(method, path, response))).toMatchObject({ kind, userId });
	});

	it.each([
		["get", "/api/v2/users/auth0%7C1", undefined],
		["patch", "/api/v2/users/auth0%7C1", { statusCode: 400 }],
		["post", "/api/v2/users", { statusCode: 201 }],
		["patch", "/api/v2/clients/abc", undefined],
		["patch", "/api/v2/users-exports/abc", undefined],
		["patch", "/api/v2/users/%E0%A4%A", undefined],
	])("a Management API call %s %s (%j): nothing", (method, path, response) => {
		expect(meaning(apiLogEntry(method, path, response))).toBeNull();
	});
});

describe("what is kept of an Auth0 delivery", () => {
	const kept = (body: unknown, includePrivateMetadata = false) =>
		JSON.stringify(read(body, includePrivateMetadata).document);

	it("holds no tokens of identity providers, and no address of the user's machine", () => {
		const post = { event: "user.updated", user: auth0User() };
		for (const body of [streamEvent("user.updated"), streamSamples["user.updated"], post]) {
			expect(kept(body)).not.toMatch(/never-to-be-stored|203\.0\.113|Mozilla/);
			expect(kept(body)).toContain("google-oauth2");
		}
	});

	it("holds app_metadata only when private metadata is asked for, user_metadata word for word", () => {
		expect(kept(streamEvent("user.updated"))).not.toContain("app_metadata");
		expect(kept(streamEvent("user.updated"), true)).toContain('"app_metadata":{"plan"');
		expect(kept(streamEvent("user.updated"))).toContain(
			'"user_metadata":{"token":"arcade-token","colour":"green"}',
		);
	});

	it("holds of a log entry what happened to which user, and nothing of what was sent", () => {
		const text = kept(
			apiLogEntry("patch", "/api/v2/users/x", { statusCode: 200, body: { email: "kits@example.com" } }),
		);
		expect(text).not.toMatch(/hunter2|never-to-be-stored|kits@|203\.0\.113|Mozilla/);
		expect(text).toContain("/api/v2/users/x");
	});

	it("can be stored by Postgres whatever a user wrote into it", () => {
		const user_metadata = { "bad\u0000key": "a\u0000b", half: "\ud83d" };
		const text = kept(streamEvent("user.updated", auth0User({ user_metadata, name: "a\u0000" })));
		expect(text).not.toMatch(/\\u0000|\\ud83d"/);
	});
});
