import { Value } from "@sinclair/typebox/value";
import { describe, expect, it } from "vitest";
import { registry } from "./all-providers.ts";

describe.each(registry.deployment.map((provider) => [provider.id, provider] as const))(
	"the platform %s",
	(id, provider) => {
		it("is connected by naming the target; the token may come from OAuth", () => {
			const { connectBody, targetField } = provider;
			expect(Value.Check(connectBody, { [targetField]: "web" })).toBe(true);
			expect(Value.Check(connectBody, { [targetField]: "web", token: "t", preview_branches: true })).toBe(
				true,
			);
			expect(Value.Check(connectBody, { token: "t" })).toBe(false);
			expect(Value.Check(connectBody, { [targetField]: "web", unknown: 1 })).toBe(false);
			expect(provider.credentialKeys).toContain("token");
		});

		it("never gives previews the variables of production once branches have their own", () => {
			const shared = provider.defaultTargets({ previewBranches: false });
			const own = provider.defaultTargets({ previewBranches: true });
			expect(own).toEqual(["production"]);
			expect(shared).toContain("production");
			for (const target of [...shared, ...own]) expect(provider.variableTargets).toContain(target);
		});

		it.each(["", "\u0000", "null", "[]", '"text"', "{", "[[[["])(
			"reads no event from the body %j",
			(body) => {
				const input = { rawBody: Buffer.from(body), headers: {}, event: "deploy_created" };
				expect(provider.readWebhook(input)).toBeNull();
			},
		);

		it("asks for a retry while the secret is on its way, and never answers a status that destroys a hook", () => {
			const { noIntegration, badSignature, noSecretYet } = provider.refusals;
			expect(noSecretYet).toBe(503);
			expect([noIntegration, badSignature]).not.toContain(410);
			expect(badSignature).toBe(401);
		});

		it("names the variables that OAuth waits for", () => {
			expect(provider.oauth).toBeNull();
			expect(provider.oauthVariables).toContain(`${id.toUpperCase()}_CLIENT_ID`);
			expect(provider.oauthVariables).toContain(`${id.toUpperCase()}_CLIENT_SECRET`);
		});
	},
);
