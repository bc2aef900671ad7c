import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fromUuid, toUuid, uuidFloor } from "../../src/core/ids.ts";
import { createVault } from "../../src/platform/vault.ts";
import { ownSignatures, standardSignatures } from "../deliveries/signatures.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Owner,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer, testKey } from "../support/server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

describe("rotating a secret", () => {
	it("gives a new secret, and by default every earlier one is dead at once", async () => {
		const { status, body } = await rotate();
		expect(status).toBe(200);
		expect(body.webhook_endpoint).toEqual({ ...endpoint.wire, updated_at: expect.any(String) });
		expect(body.plaintext_secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
		expect(body.plaintext_secret).not.toBe(endpoint.secret);
		await expectSignedBy([body.plaintext_secret]);
	});

	it("takes a request without a body, with a content type or without", async () => {
		for (const headers of [{ "content-type": "application/json" }, {} as Record<string, string>]) {
			const answer = await server.call("POST", `${endpoint.path}/rotate-secret`, { key: owner.key, headers });
			expect(answer.status).toBe(200);
		}
	});

	it("signs with both secrets during the grace, newest first, and with the new one alone after it", async () => {
		const { body } = await rotate({ grace_hours: 24 });
		await expectSignedBy([body.plaintext_secret, endpoint.secret]);
		await server.advance(24 * 3600_000 - 60_000);
		await expectSignedBy([body.plaintext_secret, endpoint.secret]);
		await server.advance(2 * 60_000);
		await expectSignedBy([body.plaintext_secret]);
	});

	it("keeps at most two secrets alive: a third drops the oldest", async () => {
		const { body: second } = await rotate({ grace_hours: 168 });
		const { body: third } = await rotate({ grace_hours: 168 });
		await expectSignedBy([third.plaintext_secret, second.plaintext_secret]);
		const { body: last } = await rotate({ grace_hours: 0 });
		await expectSignedBy([last.plaintext_secret]);
	});

	it("leaves one secret with its grace and one without when two rotations come at once", async () => {
		const answers = await Promise.all([rotate({ grace_hours: 1 }), rotate({ grace_hours: 1 })]);
		expect(answers.map(({ status }) => status)).toEqual([200, 200]);
		const rows = await server.sql<{ expires_at: Date | null }>(
			"select expires_at from endpoint_secrets where endpoint_id = $1 order by expires_at nulls first",
			[toUuid(endpoint.id)],
		);
		expect(rows.map((row) => row.expires_at === null)).toEqual([true, false]);
	});

	it("keeps the current secret whatever the clocks of the processes that made it and the one before", async () => {
		// The endpoint's first secret as a process made it whose clock was years ahead of the others'.
		const ahead = fromUuid("src", uuidFloor(new Date("2090-01-01T00:00:00Z")));
		const place = { row: ahead, column: "endpoint_secrets.secret" };
		const sealed = createVault([testKey]).seal(endpoint.secret, place);
		await server.sql("update endpoint_secrets set id = $1, secret = $2 where endpoint_id = $3", [
			toUuid(ahead),
			sealed,
			toUuid(endpoint.id),
		]);
		const { body: second } = await rotate({ grace_hours: 24 });
		await expectSignedBy([second.plaintext_secret, endpoint.secret]);
		const { body: third } = await rotate({ grace_hours: 24 });
		await expectSignedBy([third.plaintext_secret, second.plaintext_secret]);
	});

	it.each([
		{ grace_hours: -1 },
		{ grace_hours: 169 },
		{ grace_hours: "1" },
		{ grace_hours: null },
		{ secret: "whsec_x" },
		[],
		null,
	])("refuses %j", async (body) => {
		expect((await rotate(body)).status).toBe(400);
		await expectSignedBy([endpoint.secret]);
	});

	it("holds for an attempt that was waiting", async () => {
		receiver.respondWith(500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		await receiver.waitFor(1);
		const { body } = await rotate();
		await server.advance(10_000);
		server.ctx.wakeDeliveries([endpoint.id]);
		const [first, second] = await receiver.waitFor(2);
		expect(standardSignatures(first, [endpoint.secret])).toBe(true);
		expect(standardSignatures(second, [body.plaintext_secret])).toBe(true);
	});

	it("never stores a secret in the clear", async () => {
		const { body } = await rotate({ grace_hours: 1 });
		const rows = await server.sql("select secret from endpoint_secrets where endpoint_id = $1", [
			toUuid(endpoint.id),
		]);
		expect(rows).toHaveLength(2);
		const stored = JSON.stringify(rows);
		for (const secret of [endpoint.secret, body.plaintext_secret]) {
			expect(stored).not.toContain(secret.slice(6, 30));
			expect(stored).not.toContain(Buffer.from(secret.slice(6), "base64").toString("hex"));
		}
	});
});

function rotate(body?: unknown) {
	return server.call("POST", `${endpoint.path}/rotate-secret`, { key: owner.key, body });
}

async function expectSignedBy(secrets: string[]): Promise<void> {
	const before = receiver.requests.length;
	await publish(server, owner, { type: "a.b", data: { before } });
	const request = (await receiver.waitFor(before + 1)).at(-1);
	expect(ownSignatures(request, secrets)).toBe(true);
	expect(standardSignatures(request, secrets)).toBe(true);
}
