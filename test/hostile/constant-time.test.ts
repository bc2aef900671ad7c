import crypto, { createHash } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { Webhook } from "svix";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { equalDigests, equalSecrets } from "../../src/core/equality.ts";
import { hashPathToken, judgePathToken, newPathToken } from "../../src/integrations/platforms/hook-token.ts";
import { browserKey, isBrowserKey, readState, signingKeyOf, signState } from "../../src/oauth/state.ts";
import { createVault } from "../../src/platform/vault.ts";
import { addOrganization } from "../deliveries/webhook-server.ts";
import { signedDelivery as signedByNetlify } from "../fakes/netlify/hooks.ts";
import { signedDelivery as signedByVercel } from "../fakes/vercel/events.ts";
import { signedSimply, signedStandard } from "../fixtures/better-auth/webhooks.ts";
import { metricsToken } from "../http/scrape.ts";
import { registry } from "../providers/all-providers.ts";
import { startTestServer, testKey } from "../support/server.ts";

/** What was compared by Node's own comparison in constant time. */
const compared = new Set<string>();
const { timingSafeEqual } = crypto;
crypto.timingSafeEqual = (left, right) => {
	compared.add([left, right].map(toHex).sort().join(" "));
	return timingSafeEqual(left, right);
};
syncBuiltinESMExports();
afterAll(() => {
	crypto.timingSafeEqual = timingSafeEqual;
	syncBuiltinESMExports();
});
beforeEach(() => compared.clear());

/** Whether these two were, themselves or their SHA-256. */
function wereCompared(given: string, right: string): boolean {
	const ways = [
		(text: string) => Buffer.from(text),
		(text: string) => createHash("sha256").update(text).digest(),
	];
	return ways.some((way) =>
		compared.has(
			[given, right]
				.map((text) => toHex(way(text)))
				.sort()
				.join(" "),
		),
	);
}

function toHex(bytes: NodeJS.ArrayBufferView): string {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** The same but for its last character but one: the last of base64 may hold bits that count for nothing. */
function almost(text: string): string {
	const at = text.length - 2;
	return `${text.slice(0, at)}${text[at] === "0" ? "1" : "0"}${text.slice(at + 1)}`;
}

const secret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
const now = new Date("2026-03-01T12:00:00Z");
const standard = { id: "msg_1", at: now };

describe("what a stranger shows is compared in constant time with", () => {
	it.each([
		["clerk", clerkDelivery(), "svix-signature"],
		["auth0", { headers: { authorization: secret }, body: "{}" }, "authorization"],
		["better_auth", signedSimply({ event: "user.created" }, secret), "x-better-auth-signature"],
		["better_auth", signedStandard({ event: "user.created" }, secret, standard), "webhook-signature"],
		["vercel", signedByVercel(secret, { id: "1" }), "x-vercel-signature"],
		["netlify", signedByNetlify("deploy_created", { id: "1" }, secret), "x-webhook-signature"],
	] as const)("what %s signed", (id, delivery, header) => {
		const provider = [...registry.auth, ...registry.deployment].find((each) => each.id === id);
		const sent: Record<string, string> = { ...delivery.headers };
		const right = sent[header] ?? "";
		const verdict = (shown: string) =>
			provider?.verifyWebhook({
				rawBody: Buffer.from(delivery.body),
				headers: { ...sent, [header]: shown },
				secrets: [secret],
				now,
			});
		expect(verdict(right)).toBe("genuine");
		compared.clear();
		expect(verdict(almost(right))).toBe("bad_signature");
		// Of what stands around a signature in its header nothing is secret.
		const signature = (text: string) => text.replace(/^(v1,|.*\.)/, "");
		expect(wereCompared(signature(almost(right)), signature(right))).toBe(true);
	});

	it("the token in a hook's path, by its hash", () => {
		const [token, other] = [newPathToken(), newPathToken()];
		const hook = { tokenHash: hashPathToken(token), awaitedTokenHash: null, remote: [], target: null };
		expect(judgePathToken({ hook }, token)).toBe("standing");
		expect(judgePathToken({ hook }, other)).toBe("unknown");
		expect(wereCompared(hashPathToken(other), hashPathToken(token))).toBe(true);
	});

	it("OAuth's state and the cookie of the browser that began", () => {
		const vault = createVault([testKey]);
		const bound = { projectId: "prj_1", provider: "vercel", actorKind: "admin", actorId: null } as never;
		const nonce = "n".repeat(32);
		const right = readState(signState(vault, nonce, bound));
		const signature = right?.signature ?? "";
		expect(signingKeyOf(vault, { nonce, signature: almost(signature) }, bound)).toBeNull();
		expect(wereCompared(almost(signature), signature)).toBe(true);
		const kept = browserKey(vault, nonce);
		expect(isBrowserKey(vault, { nonce, keyId: testKey.id }, almost(kept))).toBe(false);
		expect(wereCompared(almost(kept), kept)).toBe(true);
	});

	it("the admin token and METRICS_TOKEN; an API key is looked up by its hash", async () => {
		const server = await startTestServer({ env: { METRICS_TOKEN: metricsToken } });
		for (const [path, right] of [
			["/v1/me", server.adminToken],
			["/metrics", metricsToken],
		] as const) {
			expect((await server.call("GET", path, { key: almost(right) })).status).toBe(401);
			expect([path, wereCompared(almost(right), right)]).toEqual([path, true]);
		}
		const { key } = await addOrganization(server);
		const hash = createHash("sha256").update(key).digest();
		const rows = await server.sql("select key_hash, api_keys::text as row from api_keys");
		expect(rows.map((row) => [row.key_hash, row.row.includes(key)])).toEqual([[hash, false]]);
	});

	it("secrets of any length, and digests of one length", () => {
		expect(equalSecrets("secret", "secret")).toBe(true);
		expect(equalSecrets("", "")).toBe(true);
		for (const other of ["secreT", "secret and more", ""]) {
			expect(equalSecrets("secret", other)).toBe(false);
			expect(wereCompared("secret", other)).toBe(true);
		}
		expect(equalDigests("ab", "ab")).toBe(true);
		expect(equalDigests("ab", "ac")).toBe(false);
		expect(wereCompared("ab", "ac")).toBe(true);
		expect(equalDigests("ab", "abc")).toBe(false);
	});
});

function clerkDelivery() {
	const body = '{"type":"user.created"}';
	const headers = {
		"svix-id": "msg_1",
		"svix-timestamp": String(now.getTime() / 1000),
		"svix-signature": new Webhook(secret).sign("msg_1", now, body),
	};
	return { headers, body };
}
