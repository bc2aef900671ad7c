import { generateKeyPairSync, sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Deployment, PlatformEvent } from "../../src/providers/deployment-provider.ts";
import { createNetlify } from "../../src/providers/netlify/index.ts";
import { signBody, signedDelivery } from "../fakes/netlify/hooks.ts";
import { netlifyDeploy, netlifyPreview, netlifySecrets } from "../fixtures/netlify/deploys.ts";

const netlify = createNetlify({ origin: "http://127.0.0.1:9", oauth: null });
const secret = "the-secret-of-one-hook";
const now = new Date();

function judge(body: string | Buffer, signature: string | string[] | undefined, secrets = [secret]) {
	const headers = signature === undefined ? {} : { "x-webhook-signature": signature };
	return netlify.verifyWebhook({ rawBody: Buffer.from(body), headers, secrets, now });
}

function read(deploy: object, event: string | null = "deploy_building", headers = {}): PlatformEvent {
	const found = netlify.readWebhook({ rawBody: Buffer.from(JSON.stringify(deploy)), headers, event });
	if (found === null) throw new Error("The notification was not read.");
	return found;
}

function meaning(deploy: object, event = "deploy_building"): Deployment {
	const stored = read(deploy, event);
	const document = JSON.parse(JSON.stringify(stored.document)) as Record<string, unknown>;
	const found = netlify.interpret({ ...stored, document });
	if (found === null) throw new Error("The notification is about no deployment.");
	return found;
}

describe("the signature of a Netlify notification", () => {
	const body = JSON.stringify(netlifyDeploy());

	it("is genuine as Netlify makes it, under any of the live secrets", () => {
		const { headers } = signedDelivery("deploy_building", netlifyDeploy(), secret);
		expect(judge(body, headers["x-webhook-signature"])).toBe("genuine");
		expect(judge(body, headers["x-webhook-signature"], ["newer-secret", secret])).toBe("genuine");
	});

	it("covers the exact bytes", () => {
		expect(judge(`${body} `, signBody(body, secret))).toBe("bad_signature");
		const bytes = Buffer.from([0x7b, 0xff, 0xfe, 0x7d]);
		expect(judge(bytes, signBody(bytes.toString("utf8"), secret))).toBe("bad_signature");
	});

	it.each([
		["another secret", signBody(body, "another-secret")],
		["an empty secret", signBody(body, "")],
		["another issuer", signBody(body, secret, { claims: { iss: "other" } })],
		["no issuer", signBody(body, secret, { claims: { iss: undefined } })],
		["no digest", signBody(body, secret, { claims: { sha256: undefined } })],
		["a digest that is no text", signBody(body, secret, { claims: { sha256: 7 } })],
		["another algorithm in its header", signBody(body, secret, { header: { alg: "HS512" } })],
		["extensions that must be understood", signBody(body, secret, { header: { crit: ["b64"], b64: false } })],
		["no algorithm", unsigned({ alg: "none" })],
		["a public key", asymmetric()],
		["its last part missing", signBody(body, secret).split(".").slice(0, 2).join(".")],
		["one part too many", `${signBody(body, secret)}.x`],
		["its signature cut", signBody(body, secret).slice(0, -1)],
		["its signature padded", `${signBody(body, secret)}=`],
		["no shape at all", "v1,abc"],
	])("is bad with %s", (_, signature) => {
		expect(judge(body, signature, [secret, ""])).toBe("bad_signature");
	});

	it("is missing without its header, and never genuine without a secret", () => {
		expect(judge(body, undefined)).toBe("missing_signature");
		expect(judge(body, "")).toBe("missing_signature");
		expect(judge(body, [signBody(body, secret), signBody(body, secret)])).toBe("missing_signature");
		expect(judge(body, signBody(body, ""), [""])).toBe("bad_signature");
		expect(judge(body, signBody(body, secret), [])).toBe("bad_signature");
	});

	function unsigned(header: object): string {
		const [, claims] = signBody(body, secret).split(".");
		return `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${claims}.`;
	}

	function asymmetric(): string {
		const [, claims] = signBody(body, secret).split(".");
		const header = Buffer.from(JSON.stringify({ alg: "RS256", typ: "JWT" })).toString("base64url");
		const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
		return `${header}.${claims}.${sign("sha256", Buffer.from(`${header}.${claims}`), privateKey).toString("base64url")}`;
	}
});

describe("a Netlify notification", () => {
	it("is read with its event, its site, its time, and a key that its retries share", () => {
		const deploy = netlifyDeploy({ state: "ready", updated_at: "2026-03-02T08:16:02.500Z" });
		const event = read(deploy, "deploy_created");
		expect(event).toMatchObject({
			providerEventId: `deploy_created:${deploy.id}:2026-03-02T08:16:02.500Z`,
			alternateEventId: null,
			type: "deploy_created",
			instance: deploy.site_id,
			occurredAt: new Date("2026-03-02T08:16:02.500Z"),
		});
		expect(read(deploy, "deploy_created").providerEventId).toBe(event.providerEventId);
		expect(read(deploy, "deploy_failed").providerEventId).not.toBe(event.providerEventId);
	});

	it("is of the event that our URL names, whatever the unsigned header says", () => {
		const headers = { "x-netlify-event": "deploy_failed" };
		expect(read(netlifyDeploy(), "deploy_building", headers).type).toBe("deploy_building");
		expect(read(netlifyDeploy(), null, headers).type).toBe("deploy_failed");
		expect(read(netlifyDeploy({ state: "ready" }), null).type).toBe("deploy_created");
		expect(read(netlifyDeploy(), "no such\u0000event").type).toBe("deploy_building");
	});

	it("has a key of its content where it carries no time", () => {
		const { updated_at: _, ...deploy } = netlifyDeploy();
		expect(read(deploy).providerEventId).toBe(read(deploy).providerEventId);
		expect(read(deploy).providerEventId).not.toBe(read({ ...deploy, state: "ready" }).providerEventId);
		expect(read(deploy).occurredAt).toBeNull();
	});

	it.each([
		"",
		"null",
		"[]",
		"42",
		"{",
		"{}",
		'{"id":"d1"}',
		'{"id":1,"site_id":"s1"}',
		'{"id":"","site_id":"s"}',
	])("is not what Netlify sends when its body is %j", (body) => {
		expect(
			netlify.readWebhook({ rawBody: Buffer.from(body), headers: {}, event: "deploy_created" }),
		).toBeNull();
	});
});

describe("what a Netlify notification says of a deployment", () => {
	it("is where it was built, of which commit, and for whom", () => {
		expect(meaning(netlifyPreview())).toEqual({
			id: "66f0000000000000000000a1",
			targetId: "3f1d7a52-5a0e-4c5e-9f55-0d6b6a9f0001",
			state: "building",
			context: "deploy-preview",
			isPreview: true,
			isRedeploy: false,
			branch: "feature/sluice",
			commitSha: "2f9d6f3f0f6a4f7f8a4f5c1d0e9b8a7c6d5e4f3a",
			commitMessage: "Raise the water level",
			commitAuthor: "beaver",
			pullRequest: 12,
			isFork: false,
			url: "https://feature-sluice--beaver-dam.netlify.app",
			inspectUrl: "https://app.netlify.com/sites/beaver-dam/deploys/66f0000000000000000000a1",
			errorCode: null,
			createdAt: new Date("2026-03-02T08:15:00.000Z"),
			occurredAt: new Date("2026-03-02T08:15:00.000Z"),
		});
	});

	it.each([
		["new", "created"],
		["pending_review", "created"],
		["enqueued", "created"],
		["building", "building"],
		["uploading", "building"],
		["processed", "building"],
		["a state that Netlify adds", "building"],
		["ready", "ready"],
		["error", "failed"],
		["rejected", "failed"],
	])("in the state %s is %s, whatever event brought it", (state, expected) => {
		for (const event of ["deploy_building", "deploy_created", "deploy_failed"]) {
			expect(meaning(netlifyDeploy({ state }), event).state).toBe(expected);
		}
	});

	it.each([
		[{ error_message: "Canceled build due to no content change" }, "canceled"],
		[{ error_message: "Build was cancelled by the user" }, "canceled"],
		[{ error_message: "Skipped", skipped: true }, "canceled"],
		[{ error_message: "Failed during stage 'building site': exit code: 2" }, "failed"],
		[{ error_message: null }, "failed"],
	])("that ended in an error with %j is %s", (changes, expected) => {
		expect(meaning(netlifyDeploy({ state: "error", ...changes }), "deploy_failed").state).toBe(expected);
	});

	it("is a promotion when an older deploy was published again, and only when it is ready", () => {
		expect(meaning(netlifyDeploy({ state: "ready" }), "deploy_restored").state).toBe("promoted");
		expect(meaning(netlifyDeploy({ state: "building" }), "deploy_restored").state).toBe("building");
	});

	it.each([
		["production", false],
		["deploy-preview", true],
		["branch-deploy", true],
		["staging", true],
	])("in the context %s is a preview: %s", (context, isPreview) => {
		expect(meaning(netlifyDeploy({ context }))).toMatchObject({ context, isPreview });
	});

	it.each([
		["the same repository", netlifyPreview(), false],
		["another one", netlifyPreview({ head: "stranger/beaver-dam" }), true],
		["the same one in other letters", netlifyPreview({ head: "Example/Beaver-Dam" }), false],
		["an unnamed one", netlifyPreview({ commit_url: null }), null],
		["a page that is no commit", netlifyPreview({ commit_url: "https://github.com/stranger" }), null],
		["no pull request, but a preview", netlifyPreview({ review_id: null, review_url: null }), null],
		["no pull request", netlifyDeploy({ context: "branch-deploy" }), false],
		[
			"a fork at GitLab",
			netlifyPreview({
				review_url: "https://gitlab.com/group/sub/dam/-/merge_requests/3",
				commit_url: "https://gitlab.com/stranger/dam/-/commit/2f9d6f3f",
			}),
			true,
		],
		[
			"its own repository at GitLab",
			netlifyPreview({
				review_url: "https://gitlab.com/group/sub/dam/-/merge_requests/3",
				commit_url: "https://gitlab.com/group/sub/dam/commit/2f9d6f3f",
			}),
			false,
		],
	])("with a commit of %s", (_, deploy, isFork) => {
		expect(meaning(deploy).isFork).toBe(isFork);
	});

	it("is nothing when it is about a form, or about a deploy that is no more", () => {
		expect(netlify.interpret(read({ id: "s1", site_id: "site" }, "submission_created"))).toBeNull();
		expect(netlify.interpret(read(netlifyDeploy(), "deploy_deleted"))).toBeNull();
		expect(netlify.interpret(read({ id: "d1", site_id: "site", state: 7 }, "deploy_created"))).toBeNull();
	});
});

describe("what is kept of a Netlify notification", () => {
	it("holds no tokens, no build configuration and no lists of digests", () => {
		const kept = JSON.stringify(read(netlifyDeploy()).document);
		for (const hidden of netlifySecrets) expect(kept).not.toContain(hidden);
		expect(kept).not.toMatch(/log_access_attributes|file_configuration|required|skew_protection/);
		expect(kept.length).toBeLessThan(1500);
	});

	it("holds no e-mail addresses", () => {
		const deploy = netlifyDeploy({
			title: "Mend the dam\n\nCo-authored-by: Ada <ada@example.com>",
			committer: "ada@example.com",
		});
		const event = read(deploy);
		expect(JSON.stringify(event.document)).not.toContain("ada@");
		expect(meaning(deploy)).toMatchObject({ commitAuthor: "[e-mail]" });
		expect(meaning(deploy).commitMessage).toContain("Mend the dam");
	});

	it("holds nothing that a visitor wrote into a form", () => {
		const submission = {
			id: "s1",
			site_id: "site",
			form_name: "contact",
			data: { email: "ada@example.com" },
			title: "Ada",
		};
		expect(read(submission, "submission_created").document).toEqual({ id: "s1", site_id: "site" });
	});

	it("can be stored by Postgres whatever a commit message holds", () => {
		const { document } = read(netlifyDeploy({ title: `a\u0000b\ud83d${"🦫".repeat(2000)}` }));
		expect(JSON.stringify(document)).not.toMatch(/\\u0000|\\ud83d/);
		expect(String(document.title).isWellFormed()).toBe(true);
	});
});
