import { describe, expect, it, onTestFinished } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { calls, refusalOf, startVercelSite } from "./vercel-site.ts";

const url = "https://capydb.example.com/v1/integrations/vercel/webhook/prj_1/token";
const secret = "not-used-at-vercel";

describe("registering a webhook at Vercel", () => {
	it("makes one hook for the deployments of this project, and brings the secret that Vercel chose", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const registered = await vercel.registerHook(access, { url, secret });
		const [hook] = [...fake.hooks.values()];
		expect(fake.hooks.size).toBe(1);
		expect(hook).toMatchObject({ url, projectIds: [project.id], ownerId: fake.teamId });
		expect(hook?.events).toContain("deployment.created");
		expect(registered).toEqual({
			hooks: [{ id: hook?.id, url, event: null }],
			signingSecret: hook?.secret,
			note: null,
		});
	});

	it("is refused to a token for one project, and to a team on a free plan, in words that help", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const credentials = { token: fake.addToken({ projectId: project.id }) };
		const refused = await refusalOf(vercel.registerHook({ ...access, credentials }, { url, secret }));
		expect([refused.reason, refused.status]).toEqual(["forbidden", 403]);
		expect(refused.message).toMatch(/token for the whole team, not for one project, and a team on the Pro/);
		const teamId = fake.addTeam("Hobby", "hobby");
		const { id } = fake.addProject({ name: "side", accountId: teamId });
		const poor = { credentials: { token: fake.addToken() }, target: { id, teamId } };
		expect((await refusalOf(vercel.registerHook(poor, { url, secret }))).reason).toBe("forbidden");
	});

	it("says that the team's twenty webhooks are taken", async () => {
		const { fake, vercel, access } = await startVercelSite();
		for (let index = 0; index < 20; index += 1)
			await vercel.registerHook(access, { url: `${url}${index}`, secret });
		const error = await refusalOf(vercel.registerHook(access, { url, secret }));
		expect([error.reason, error.status]).toEqual(["limit_reached", 400]);
		expect(error.message).toBe("Vercel allows 20 webhooks a team, and all are taken: delete one there.");
		expect(fake.hooks.size).toBe(20);
	});

	it("keeps Vercel's code when it refuses the address", async () => {
		const { vercel, access } = await startVercelSite();
		const error = await refusalOf(vercel.registerHook(access, { url: "ftp://example.com", secret }));
		expect([error.reason, error.vendorCode]).toEqual(["invalid_request", "invalid_url"]);
	});

	it("finds a registration whose answer was lost by its URL", async () => {
		const { fake, vercel, access } = await startVercelSite();
		fake.dropNext({ afterWork: true, matches: /^POST \/v1\/webhooks/ });
		expect((await refusalOf(vercel.registerHook(access, { url, secret }))).reason).toBe("unavailable");
		const [lost] = await vercel.listHooks(access);
		expect(lost).toEqual({ id: [...fake.hooks.keys()][0], url, event: null });
	});

	it("lists the hooks of this project only", async () => {
		const { fake, vercel, access } = await startVercelSite();
		await vercel.registerHook(access, { url, secret });
		const { id } = fake.addProject({ name: "other" });
		const other = { ...access, target: { ...access.target, id } };
		await vercel.registerHook(other, { url: `${url}/other`, secret });
		expect((await vercel.listHooks(access)).map((hook) => hook.url)).toEqual([url]);
	});

	it("is called again by what was not taken, with the same bytes and signature", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const receiver = await startReceiver();
		onTestFinished(() => receiver.close());
		receiver.respondWith(503, 200);
		await vercel.registerHook(access, { url: receiver.url, secret });
		await fake.deliver([fake.deploy(project, { branch: "main" }).event]);
		expect((await fake.retryFailed()).map(({ status }) => status)).toEqual([200]);
		expect(await fake.retryFailed()).toEqual([]);
		const [first, second] = receiver.requests;
		expect(second?.body).toEqual(first?.body);
		expect(second?.headers["x-vercel-signature"]).toBe(first?.headers["x-vercel-signature"]);
	});

	it("may be called by an event before it is answered", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const receiver = await startReceiver();
		onTestFinished(() => receiver.close());
		const { event } = fake.deploy(project, { branch: "main" });
		fake.sendBeforeHookAnswer(event);
		const { signingSecret } = await vercel.registerHook(access, { url: receiver.url, secret });
		expect(receiver.requests).toHaveLength(1);
		const [early] = receiver.requests;
		if (early === undefined) throw new Error("Nothing came.");
		const { headers, body } = fake.signedDelivery(signingSecret ?? "", event);
		expect(early.headers["x-vercel-signature"]).toBe(headers["x-vercel-signature"]);
		expect(String(early.body)).toBe(body);
	});
});

describe("checking a webhook at Vercel", () => {
	it("stands as long as it is there, with the address and the project that it was made for", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const { hooks } = await vercel.registerHook(access, { url, secret });
		const check = (changes = {}) => vercel.checkHook(access, { hooks, url, secret, ...changes });
		expect(await check()).toEqual({ state: "standing" });
		expect(await check({ url: `${url}/moved` })).toEqual({ state: "missing" });
		expect(await check({ hooks: [] })).toEqual({ state: "missing" });
		for (const hook of fake.hooks.values()) hook.projectIds = ["prj_other"];
		expect(await check()).toEqual({ state: "missing" });
		for (const id of fake.hooks.keys()) fake.dropHook(id);
		expect(await check()).toEqual({ state: "missing" });
	});

	it("does not take a refusal or an outage for a missing hook", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const { hooks } = await vercel.registerHook(access, { url, secret });
		fake.failNext(500);
		expect((await refusalOf(vercel.checkHook(access, { hooks, url, secret }))).reason).toBe("unavailable");
		fake.revokeToken(access.credentials.token ?? "");
		expect((await refusalOf(vercel.checkHook(access, { hooks, url, secret }))).reason).toBe("forbidden");
	});
});

describe("deleting a webhook at Vercel", () => {
	it("removes it, and counts one that is gone as removed", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const { hooks } = await vercel.registerHook(access, { url, secret });
		const id = hooks[0]?.id ?? "";
		await vercel.deleteHook(access, id);
		expect(fake.hooks.size).toBe(0);
		await vercel.deleteHook(access, id);
		expect(calls(fake).slice(-2)).toEqual([`DELETE /v1/webhooks/${id}`, `DELETE /v1/webhooks/${id}`]);
	});
});
