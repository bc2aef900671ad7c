import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DatabaseClock } from "../../src/platform/database-clock.ts";
import {
	type FakeClerkKeys,
	newSigningKey,
	type SigningKey,
	sessionClaims,
	signToken,
	startFakeClerkKeys,
} from "../fakes/clerk-keys.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

describe("sessions verified with the keys that Clerk publishes", () => {
	let clerk: FakeClerkKeys;
	let remote: TestServer;
	let env: Record<string, string>;
	let organization: { id: string; role: string; slug: string };

	beforeAll(async () => {
		clerk = await startFakeClerkKeys("sk_test_keys");
		env = { CLERK_SECRET_KEY: "sk_test_keys", CLERK_API_URL: clerk.origin, CLERK_AUTO_PROVISION: "true" };
		remote = await startTestServer({ keep: true, env });
		organization = { id: "org_auto", role: "member", slug: "auto" };
	});
	afterAll(async () => {
		await remote.close();
		await clerk.close();
	});

	const me = (token: string) => remote.call("GET", "/v1/me", { key: token });

	it("fetch them once, and again for a key that was rotated in", async () => {
		for (let count = 0; count < 5; count += 1) {
			expect((await me(signToken(clerk.key(), sessionClaims(2, organization)))).status).toBe(200);
		}
		expect(clerk.requests).toEqual([200]);
		clerk.rotate();
		expect((await me(signToken(clerk.key(), sessionClaims(2, organization)))).status).toBe(200);
		expect(clerk.requests).toEqual([200, 200]);
	});

	it("make an unknown organization once, with CLERK_AUTO_PROVISION, however many first requests come", async () => {
		const fresh = { id: "org_fresh", role: "admin", slug: "fresh" };
		const answers = await Promise.all(
			Array.from({ length: 10 }, () => me(signToken(clerk.key(), sessionClaims(1, fresh)))),
		);
		expect(new Set(answers.map(({ status, body }) => `${status} ${body.organization?.id}`)).size).toBe(1);
		expect(answers[0]?.body.organization).toMatchObject({
			name: "fresh",
			clerk_organization_id: "org_fresh",
		});
	});

	it("share one request for the keys, however many come first", async () => {
		const fresh = await startTestServer({ env });
		const before = clerk.requests.length;
		const calls = Array.from({ length: 40 }, () =>
			fresh.call("GET", "/v1/me", { key: signToken(clerk.key(), sessionClaims(2, organization)) }),
		);
		expect(new Set((await Promise.all(calls)).map(({ status }) => status))).toEqual(new Set([200]));
		expect(clerk.requests.length - before).toBe(1);
	});

	it("do not become a flood of requests to Clerk when tokens name made-up keys, nor are kept out by it", async () => {
		const fresh = await startTestServer({ env });
		const stranger = newSigningKey();
		const ask = (key: SigningKey) =>
			fresh.call("GET", "/v1/me", { key: signToken(key, sessionClaims(2, organization)) });
		const before = clerk.requests.length;
		const flood = Array.from({ length: 60 }, (_, at) => ask({ ...stranger, id: `ins_${at}` }));
		expect(new Set((await Promise.all(flood)).map(({ status }) => status))).toEqual(new Set([401]));
		expect(clerk.requests.length - before).toBeLessThan(5);
		// Its key was published, but no token of it was seen before the flood.
		expect((await ask(clerk.key())).status).toBe(200);
		clerk.rotate();
		await until(async () => {
			await ask({ ...stranger, id: `ins_${randomUUID()}` });
			return (await ask(clerk.key())).status === 200;
		});
	});

	it.each(["__proto__", "constructor", "toString", ""])("are a 401 with the key id %j", async (kid) => {
		const token = signToken(clerk.key(), sessionClaims(2, organization), { kid });
		expect((await me(token)).status).toBe(401);
	});

	it("end with a key that Clerk publishes no more, and go on through an hour's outage of Clerk", async () => {
		const fresh = await startTestServer({ env });
		const clock = fresh.ctx.clock as DatabaseClock;
		const pass = async (minutes: number) => {
			await fresh.advance(minutes * 60_000);
			await clock.sync();
		};
		const old = clerk.key();
		const ask = async (key: SigningKey) =>
			(await fresh.call("GET", "/v1/me", { key: signToken(key, sessionClaims(2, organization)) })).status;
		expect(await ask(old)).toBe(200);
		clerk.goAway(true);
		await pass(10);
		expect(await ask(old)).toBe(200);
		await pass(60);
		expect(await ask(old)).toBe(503);
		clerk.goAway(false);
		clerk.rotate();
		await pass(1);
		expect([await ask(old), await ask(clerk.key())]).toEqual([200, 200]);
		clerk.retire();
		expect(await ask(old)).toBe(200);
		await pass(6);
		expect([await ask(clerk.key()), await ask(old)]).toEqual([200, 401]);
	});

	it("are a 503, never a 401, while Clerk does not answer for a key not seen before", async () => {
		const away = await startTestServer({
			env: { CLERK_SECRET_KEY: "sk_test_keys", CLERK_API_URL: "http://127.0.0.1:9" },
		});
		const { status, body, headers } = await away.call("GET", "/v1/me", {
			key: signToken(clerk.key(), sessionClaims(2, organization)),
		});
		expect([status, body.code]).toEqual([503, "session.unverifiable"]);
		expect(headers.get("retry-after")).not.toBeNull();
	});
});
