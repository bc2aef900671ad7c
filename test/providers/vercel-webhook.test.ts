import { describe, expect, it } from "vitest";
import type { Deployment } from "../../src/providers/deployment-provider.ts";
import { createVercel } from "../../src/providers/vercel/index.ts";
import { eventOf, legacyEvent, readyEvent, signedVector } from "../fixtures/vercel/events.ts";

const vercel = createVercel({ origin: "http://127.0.0.1:9", oauth: null });
const now = new Date();

describe("the signature of a Vercel webhook", () => {
	const rawBody = Buffer.from(signedVector.body);
	const judge = (signature: string | string[] | undefined, secrets: string[], body = rawBody) =>
		vercel.verifyWebhook({ rawBody: body, headers: { "x-vercel-signature": signature }, secrets, now });

	it("is hex HMAC-SHA1 of the raw bytes, as another implementation makes it", () => {
		expect(judge(signedVector.signature, [signedVector.secret])).toBe("genuine");
		expect(judge([signedVector.signature], [signedVector.secret])).toBe("genuine");
	});

	it("may be made with any of the live secrets", () => {
		expect(judge(signedVector.signature, ["the next one", signedVector.secret])).toBe("genuine");
	});

	it("is missed when it is not there", () => {
		expect(judge(undefined, [signedVector.secret])).toBe("missing_signature");
		expect(judge("", [signedVector.secret])).toBe("missing_signature");
	});

	it("is bad under another secret, over other bytes, in another spelling, and twice", () => {
		const { signature, secret } = signedVector;
		expect(judge(signature, ["another"])).toBe("bad_signature");
		expect(judge(signature, [])).toBe("bad_signature");
		expect(judge(signature, [secret], Buffer.from(`${signedVector.body} `))).toBe("bad_signature");
		expect(judge(signature, [secret], Buffer.from(signedVector.body.normalize("NFD")))).toBe("bad_signature");
		for (const other of [signature.toUpperCase(), `sha1=${signature}`, signature.slice(1), `${signature} `]) {
			expect(judge(other, [secret])).toBe("bad_signature");
		}
		expect(judge([signature, signature], [secret])).toBe("bad_signature");
	});

	it("made under an empty secret is never right", () => {
		const ofEmpty = "2bae8c0f7154a863d1466da830d99f609ad0dd8c";
		expect(judge(ofEmpty, [""])).toBe("bad_signature");
	});
});

describe("reading a Vercel webhook", () => {
	it("gives both its keys, its type, its project and its time", () => {
		const event = read(readyEvent);
		expect(event).toMatchObject({
			providerEventId: "pQ2v7Zk1xWb-ready",
			alternateEventId: "deployment.ready:dpl_one:1790000000123",
			type: "deployment.ready",
			instance: "prj_web",
			occurredAt: new Date(1_790_000_000_123),
		});
	});

	it("keeps no e-mail address and no secret in the document", () => {
		const { document } = read(readyEvent);
		const text = JSON.stringify(document);
		expect(text).not.toMatch(/@|mail\.example|hook-secret|\+49/);
		expect(text).toContain("Fix it\\n\\nCo-authored-by: Bo <[e-mail]>");
		expect(text).toContain('"githubCommitRef":"fix/it"');
		expect(document).toMatchObject({
			id: readyEvent.id,
			payload: { project: { id: "prj_web" }, target: null },
		});
	});

	it("keeps what Postgres can hold of a commit message", () => {
		const { deployment } = readyEvent.payload;
		const meta = { githubCommitRef: "x", githubCommitMessage: "a\u0000b\ud800" };
		const { document } = read(eventOf("deployment.ready", { deployment: { ...deployment, meta } }));
		expect(JSON.stringify(document)).toContain('"a\ufffdb\ufffd"');
	});

	it("reads an event of a type that it does not know, and one about the project alone", () => {
		const unknown = read(eventOf("deployment.something-new"));
		expect(vercel.interpret(unknown)).toBeNull();
		const variable = {
			id: "e1",
			type: "project.env-variable.created",
			createdAt: 1,
			payload: { projectId: "prj_web" },
		};
		expect(read(variable)).toMatchObject({ instance: "prj_web", alternateEventId: null });
	});

	it("does without the time, which then orders nothing", () => {
		const { createdAt: _, ...timeless } = readyEvent;
		expect(read(timeless)).toMatchObject({ occurredAt: null, alternateEventId: null });
	});

	it.each([
		"",
		"\u0000",
		"null",
		"[]",
		'"text"',
		"{",
		"[[[[",
		'{"id":"e"}',
		'{"id":"","type":"t","payload":{}}',
	])("reads no event from the body %j", (body) => {
		expect(vercel.readWebhook({ rawBody: Buffer.from(body), headers: {}, event: null })).toBeNull();
	});

	it("reads a body nested beyond reason without falling over", () => {
		const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
		const body = `{"id":"e","type":"t","payload":{"deep":${deep}}}`;
		const event = vercel.readWebhook({ rawBody: Buffer.from(body), headers: {}, event: null });
		expect(event?.type).toBe("t");
	});

	it("keeps 4,000 characters of a commit message at most, and searches no more for addresses", () => {
		const { deployment } = readyEvent.payload;
		const meta = { githubCommitRef: "x", githubCommitMessage: "a".repeat(1_000_000) };
		const event = read(eventOf("deployment.ready", { deployment: { ...deployment, meta } }));
		expect(JSON.stringify(event.document).match(/a{1000,}/)?.[0]).toHaveLength(4000);
		expect(vercel.interpret(event)?.commitMessage).toHaveLength(1000);
	});
});

describe("what a Vercel webhook says of a deployment", () => {
	it("is a preview of its branch, with its commit and its pull request", () => {
		expect(interpret(readyEvent)).toEqual({
			id: "dpl_one",
			targetId: "prj_web",
			state: "ready",
			context: "preview",
			isPreview: true,
			isRedeploy: false,
			branch: "fix/it",
			commitSha: "fa4fa79bf0b57f94803394a49a26d7e40e867194",
			commitMessage: "Fix it\n\nCo-authored-by: Bo <[e-mail]>",
			commitAuthor: "[e-mail]",
			pullRequest: 618,
			isFork: false,
			url: "https://web-one-acme.vercel.app",
			inspectUrl: "https://vercel.com/acme/web/one",
			errorCode: null,
			createdAt: null,
			occurredAt: new Date(1_790_000_000_123),
		});
	});

	it.each([
		["deployment.created", "created"],
		["deployment.ready", "ready"],
		["deployment.succeeded", "ready"],
		["deployment.error", "failed"],
		["deployment.canceled", "canceled"],
		["deployment.promoted", "promoted"],
	])("has for %s the state %s", (type, state) => {
		expect(interpret(eventOf(type))?.state).toBe(state);
	});

	it("is the moment of its creation in deployment.created", () => {
		expect(interpret(eventOf("deployment.created"))?.createdAt).toEqual(new Date(1_790_000_000_123));
	});

	it("is no preview in production, staging or a custom environment, nor when it is promoted without a target", () => {
		const facts = (type: string, payload: object) => {
			const deployment = interpret(eventOf(type, { ...payload }));
			return [deployment?.context, deployment?.isPreview];
		};
		expect(facts("deployment.created", { target: "production" })).toEqual(["production", false]);
		expect(facts("deployment.created", { target: "staging" })).toEqual(["staging", false]);
		expect(facts("deployment.promoted", { target: undefined })).toEqual(["production", false]);
		const custom = { ...readyEvent.payload.deployment, customEnvironmentId: "env_qa" };
		expect(facts("deployment.created", { deployment: custom })).toEqual(["custom", false]);
		expect(facts("deployment.created", { target: undefined })).toEqual(["preview", true]);
	});

	it("knows a fork by the repository's id, else by its name, and does not guess without both", () => {
		const fork = (meta: Record<string, string>) => {
			const deployment = { ...readyEvent.payload.deployment, meta: { githubCommitRef: "x", ...meta } };
			return interpret(eventOf("deployment.created", { deployment }))?.isFork;
		};
		expect(fork({ githubRepoId: "1", githubCommitRepoId: "2" })).toBe(true);
		expect(fork({ githubRepoId: "1", githubCommitRepoId: "1" })).toBe(false);
		const base = { githubOrg: "Acme", githubRepo: "web" };
		expect(fork({ ...base, githubCommitOrg: "acme", githubCommitRepo: "web" })).toBe(false);
		expect(fork({ ...base, githubCommitOrg: "someone", githubCommitRepo: "web" })).toBe(true);
		expect(fork(base)).toBeNull();
	});

	it("reads GitLab's and Bitbucket's commits, and no branch of an upload", () => {
		const commit = (meta: Record<string, string>) => {
			const deployment = { ...readyEvent.payload.deployment, meta };
			const read = interpret(eventOf("deployment.created", { deployment }));
			return [read?.branch, read?.commitSha, read?.commitAuthor, read?.isFork];
		};
		const gitlab = { gitlabCommitRef: "x", gitlabCommitSha: "abc", gitlabCommitAuthorName: "Bo" };
		expect(commit(gitlab)).toEqual(["x", "abc", "Bo", null]);
		expect(commit({ bitbucketCommitRef: "y" })).toEqual(["y", null, null, null]);
		expect(commit({})).toEqual([null, null, null, null]);
	});

	it("is read from older webhooks too, and is nothing in events of other matters", () => {
		expect(interpret(legacyEvent)).toMatchObject({ id: "dpl_two", targetId: "prj_web", state: "failed" });
		expect(interpret(eventOf("deployment.cleanup"))).toBeNull();
		expect(interpret(eventOf("deployment.created", { deployment: null }))).toBeNull();
		expect(interpret(eventOf("project.removed"))).toBeNull();
	});

	it("carries no address that is none of the web", () => {
		const deployment = { ...readyEvent.payload.deployment, url: "a b", inspectorUrl: "javascript:alert(1)" };
		const read = interpret(eventOf("deployment.created", { deployment }));
		expect(read?.url).toBeNull();
		expect(read?.inspectUrl ?? "https://").toMatch(/^https:/);
	});
});

function read(event: object) {
	const raw = Buffer.from(JSON.stringify(event));
	const found = vercel.readWebhook({ rawBody: raw, headers: {}, event: null });
	if (found === null) throw new Error("The event was not read.");
	return found;
}

function interpret(event: object): Deployment | null {
	return vercel.interpret(read(event));
}
