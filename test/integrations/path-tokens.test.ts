import { describe, expect, it } from "vitest";
import { hashPathToken, judgePathToken, newPathToken } from "../../src/integrations/platforms/hook-token.ts";

describe("the path token of a hook", () => {
	const standing = newPathToken();
	const awaited = newPathToken();
	const hook = {
		tokenHash: hashPathToken(standing),
		awaitedTokenHash: hashPathToken(awaited),
		remote: [],
		target: null,
	};

	it("has at least 160 random bits, and no two are alike", () => {
		const bytes = Buffer.from(standing, "base64url").length;
		expect(bytes * 8).toBeGreaterThanOrEqual(160);
		expect(standing).toMatch(/^[\w-]+$/);
		expect(awaited).not.toBe(standing);
	});

	it("tells a hook that stands from one whose registration was not answered yet", () => {
		expect(judgePathToken({ hook }, standing)).toBe("standing");
		expect(judgePathToken({ hook }, awaited)).toBe("awaited");
	});

	it("is unknown when it is another, a part, empty, the hash itself, or there is no hook", () => {
		for (const token of [newPathToken(), standing.slice(1), `${standing}x`, "", hook.tokenHash]) {
			expect(judgePathToken({ hook }, token)).toBe("unknown");
		}
		expect(judgePathToken({ hook: null }, standing)).toBe("unknown");
		const none = { ...hook, tokenHash: null, awaitedTokenHash: null };
		expect(judgePathToken({ hook: none }, standing)).toBe("unknown");
	});
});
