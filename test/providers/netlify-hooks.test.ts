import { describe, expect, it, onTestFinished } from "vitest";
import type { HookCheck } from "../../src/providers/deployment-provider.ts";
import { startReceiver } from "../support/receiver.ts";
import { failure, type NetlifySite, startNetlify } from "./netlify-site.ts";

const url = "https://capydb.example.com/v1/integrations/netlify/webhook/prj_1/path-token";
const secret = "signing-secret-of-one-integration";
const events = ["deploy_building", "deploy_created", "deploy_failed", "deploy_restored"];

function register({ netlify, access }: NetlifySite, changes: Partial<{ url: string; secret: string }> = {}) {
	return netlify.registerHook(access, { url, secret, ...changes });
}

async function check(
	site: NetlifySite,
	hooks: Awaited<ReturnType<typeof register>>["hooks"],
): Promise<HookCheck> {
	return site.netlify.checkHook(site.access, { hooks, url, secret });
}

async function receiverThatAnswers(status: number) {
	const receiver = await startReceiver();
	onTestFinished(() => receiver.close());
	receiver.respondWith(status);
	return receiver;
}

describe("hooks at Netlify", () => {
	it("are one for each event, whose name stands in the URL, and sign with our secret", async () => {
		const site = await startNetlify();
		const { hooks, signingSecret, note } = await register(site);
		expect(hooks.map((hook) => hook.event)).toEqual(events);
		expect(hooks.map((hook) => hook.url)).toEqual(events.map((event) => `${url}?event=${event}`));
		expect([signingSecret, note]).toEqual([secret, null]);
		expect([...site.fake.hooks.values()].map((hook) => hook.data.signature_secret)).toEqual(
			events.map(() => secret),
		);
	});

	it.each([
		["does not keep the secret", "hooksKeepSecret"],
		["does not show it", "hooksShowSecret"],
	] as const)("count as unsigned where Netlify %s, and a note says so", async (_, quirk) => {
		const site = await startNetlify();
		site.fake.quirks[quirk] = false;
		const { hooks, signingSecret, note } = await register(site);
		expect(hooks).toHaveLength(4);
		expect(signingSecret).toBeNull();
		expect(note).toMatch(/the token in their URL alone/);
	});

	it("leave out events that the account never gets, and a note names them", async () => {
		const site = await startNetlify();
		site.fake.quirks.restrictedEvents = ["deploy_building"];
		const { hooks, signingSecret, note } = await register(site);
		expect(hooks.map((hook) => hook.event)).toEqual(events.slice(1));
		expect(signingSecret).toBe(secret);
		expect(note).toContain("deploy_building");
	});

	it("do not count as signed when the account gets no event at all", async () => {
		const site = await startNetlify();
		site.fake.quirks.restrictedEvents = [...events];
		const { hooks, signingSecret, note } = await register(site);
		expect([hooks, signingSecret]).toEqual([[], null]);
		expect(note).toContain("deploy_created");
	});

	it("are made once, however often they are registered under one URL", async () => {
		const site = await startNetlify();
		const first = await register(site);
		site.fake.disableHook(first.hooks[0]?.id ?? "");
		const second = await register(site, { secret: "another-secret-of-the-same-hook" });
		expect(second.hooks).toEqual(first.hooks);
		expect(second.signingSecret).toBe("another-secret-of-the-same-hook");
		expect([...site.fake.hooks.values()].some((hook) => hook.disabled)).toBe(false);
		expect(site.fake.hooks.size).toBe(4);
	});

	it("are found by their URL when the answer that named them was lost", async () => {
		const site = await startNetlify();
		const { hooks } = await register(site);
		expect(await site.netlify.listHooks(site.access)).toEqual(hooks);
	});

	it("go again when one of them is refused", async () => {
		const site = await startNetlify();
		site.fake.failNext(422, { method: "POST", path: /hooks$/, after: 2 });
		expect((await failure(register(site))).reason).toBe("invalid_request");
		expect(site.fake.writes().filter((write) => write.startsWith("DELETE"))).toHaveLength(2);
		expect(site.fake.hooks.size).toBe(0);
		site.fake.failNext(403, { method: "GET", path: /hooks\/[0-9a-f]+$/ });
		expect((await failure(register(site))).reason).toBe("forbidden");
		expect(site.fake.hooks.size).toBe(0);
	});

	it("are refused to a token that may only read", async () => {
		const site = await startNetlify();
		const { accountId } = site.fake.site;
		site.fake.tokens.set(site.fake.token, { userId: "u", accountIds: [accountId], canWrite: false });
		expect(await failure(register(site))).toMatchObject({ reason: "forbidden", status: 403 });
	});

	it("stand while nothing happens to them", async () => {
		const site = await startNetlify();
		const { hooks } = await register(site);
		site.fake.exchanges.splice(0);
		expect(await check(site, hooks)).toEqual({ state: "standing" });
		expect(site.fake.exchanges).toHaveLength(1);
	});

	it("are enabled and made again, each by itself", async () => {
		const site = await startNetlify();
		const { hooks } = await register(site);
		site.fake.disableHook(hooks[0]?.id ?? "");
		site.fake.dropHook(hooks[1]?.id ?? "");
		const found = await check(site, hooks);
		if (found.state !== "repaired") throw new Error(found.state);
		expect(found.hooks.map((hook) => hook.event)).toEqual(events);
		expect(found.hooks[0]).toEqual(hooks[0]);
		expect(found.hooks[1]?.id).not.toBe(hooks[1]?.id);
		const standing = [...site.fake.hooks.values()];
		expect(standing).toHaveLength(4);
		expect(standing.some((hook) => hook.disabled || hook.data.signature_secret !== secret)).toBe(false);
		expect(await check(site, found.hooks)).toEqual({ state: "standing" });
	});

	it("that call another URL are brought back to ours", async () => {
		const site = await startNetlify();
		const { hooks } = await register(site, { url: "https://old.example.com/hook" });
		expect((await check(site, hooks)).state).toBe("repaired");
		expect([...site.fake.hooks.values()].map((hook) => hook.data.url)).toEqual(
			events.map((event) => `${url}?event=${event}`),
		);
	});

	it("are missing when none is left", async () => {
		const site = await startNetlify();
		const { hooks } = await register(site);
		for (const { id } of hooks) await site.netlify.deleteHook(site.access, id);
		expect(site.fake.hooks.size).toBe(0);
		expect(await check(site, hooks)).toEqual({ state: "missing" });
	});

	it("that are gone count as deleted", async () => {
		const site = await startNetlify();
		await expect(site.netlify.deleteHook(site.access, "66f0000000000000000000ff")).resolves.toBeUndefined();
	});

	it("leave other people's hooks alone", async () => {
		const site = await startNetlify();
		await register(site, { url: "https://elsewhere.example.com/hook" });
		const { hooks } = await register(site);
		for (const { id } of hooks) site.fake.dropHook(id);
		expect(await check(site, hooks)).toEqual({ state: "missing" });
		expect(site.fake.hooks.size).toBe(4);
	});
});

describe("the hook service of the fake", () => {
	it("disables a hook after repeated errors and sends again once it is enabled", async () => {
		const site = await startNetlify({ retryDelayMs: 1 });
		const receiver = await receiverThatAnswers(500);
		const { hooks } = await register(site, { url: receiver.url });
		site.fake.report({});
		await site.fake.idle();
		expect(site.fake.deliveries.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500, 500]);
		expect(site.fake.hooks.get(hooks[0]?.id ?? "")?.disabled).toBe(true);
		receiver.respondWith(200);
		site.fake.report({});
		await site.netlify.checkHook(site.access, { hooks, url: receiver.url, secret });
		site.fake.report({});
		await site.fake.idle();
		expect(site.fake.deliveries.slice(6).map(({ status }) => status)).toEqual([200]);
	});

	it("destroys a hook that answers 410, and does not try 404 again", async () => {
		const site = await startNetlify({ retryDelayMs: 1 });
		const receiver = await receiverThatAnswers(404);
		await register(site, { url: receiver.url });
		site.fake.report({});
		await site.fake.idle();
		expect(site.fake.deliveries.map(({ status }) => status)).toEqual([404]);
		receiver.respondWith(410);
		site.fake.report({});
		await site.fake.idle();
		expect(site.fake.hooks.size).toBe(3);
	});

	it("can send an event before it has answered the call that makes the hook", async () => {
		const site = await startNetlify({ retryDelayMs: 1 });
		const receiver = await receiverThatAnswers(200);
		site.fake.quirks.sendsBeforeAnswer = true;
		const { hooks } = await register(site, { url: receiver.url });
		expect(site.fake.deliveries.map(({ hookId }) => hookId)).toEqual(hooks.map(({ id }) => id));
	});

	it("can send events out of order and twice", async () => {
		const site = await startNetlify({ retryDelayMs: 1 });
		const receiver = await receiverThatAnswers(200);
		await register(site, { url: receiver.url });
		const held = site.fake.holdDeliveries();
		const { id } = site.fake.report({});
		site.fake.report({ id, state: "ready" });
		await held.release("reversed", 2);
		expect(site.fake.deliveries.map(({ event }) => event)).toEqual([
			"deploy_created",
			"deploy_building",
			"deploy_created",
			"deploy_building",
		]);
	});
});
