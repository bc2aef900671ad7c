import { readdir } from "node:fs/promises";
import { Value } from "@sinclair/typebox/value";
import { describe, expect, it } from "vitest";
import { createRegistry } from "../../src/providers/registry.ts";
import { registry } from "./all-providers.ts";

describe("the registry of providers", () => {
	it("finds a provider by each of its names in a path, and no other", () => {
		expect(registry.find("clerk")?.id).toBe("clerk");
		expect(registry.find("auth0")?.id).toBe("auth0");
		for (const name of ["better-auth", "better_auth"]) expect(registry.find(name)?.id).toBe("better_auth");
		for (const name of ["", "Clerk", "constructor", "clerk/"]) expect(registry.find(name)).toBeNull();
	});

	it("refuses two providers of one name", () => {
		expect(() => createRegistry([...registry.all, ...registry.all])).toThrow('Two providers are called "');
	});
});

describe.each(registry.all.map((provider) => [provider.id, provider] as const))(
	"the provider %s",
	(id, provider) => {
		it("is named for a path and for people", () => {
			expect(id).toMatch(/^[a-z0-9_]+$/);
			expect(provider.pathNames).toContain(id);
			expect(provider.displayName).not.toBe("");
		});

		it("has fixtures", async () => {
			const folder = id.replaceAll("_", "-");
			expect(await readdir(new URL(`../fixtures/${folder}`, import.meta.url))).not.toEqual([]);
		});

		it("never takes an unsigned webhook for genuine", () => {
			const input = { rawBody: Buffer.from("{}"), headers: {}, now: new Date() };
			expect(provider.verifyWebhook({ ...input, secrets: [] })).toBe("missing_signature");
			expect(provider.verifyWebhook({ ...input, secrets: ["whsec_AAAA"] })).toBe("missing_signature");
		});

		it("ignores a type that it does not know", () => {
			expect(provider.interpret({ type: "no.such_type", document: {}, occurredAt: new Date() })).toBeNull();
		});
	},
);

describe.each(registry.auth.map((provider) => [provider.id, provider] as const))(
	"the auth provider %s",
	(_id, provider) => {
		it.each(["", "\u0000", "null", "[]", '"text"', "{", "[[[["])(
			"reads no event from the body %j",
			(body) => {
				expect(provider.readWebhook(Buffer.from(body), {}, { includePrivateMetadata: false })).toBeNull();
			},
		);
	},
);

describe("the body of a Clerk connect call", () => {
	const body = registry.find("clerk")?.connectBody;
	const accepts = (value: unknown) => body !== null && body !== undefined && Value.Check(body, value);

	it("needs a secret key and takes a signing secret", () => {
		expect(accepts({ secret_key: "sk_test_1" })).toBe(true);
		expect(
			accepts({ secret_key: "sk_test_1", webhook_signing_secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }),
		).toBe(true);
		expect(accepts({})).toBe(false);
		expect(accepts({ secret_key: "" })).toBe(false);
		expect(accepts({ secret_key: "sk_test_1\n" })).toBe(false);
		expect(accepts({ secret_key: "x".repeat(501) })).toBe(false);
	});

	it("refuses what is no signing secret, and unknown fields", () => {
		for (const webhook_signing_secret of ["", "whsec_", "sk_test_1", "whsec_%%", null]) {
			expect(accepts({ secret_key: "sk_test_1", webhook_signing_secret })).toBe(false);
		}
		expect(accepts({ secret_key: "sk_test_1", publishable_key: "pk_test_1" })).toBe(false);
	});
});
