import { describe, expect, it } from "vitest";
import { createNetlify } from "../../src/providers/netlify/index.ts";
import { client, failure, startNetlify, token } from "./netlify-site.ts";

describe("a Netlify token", () => {
	it("is checked at the provider and finds the site by id, domain or name", async () => {
		const { netlify, access, fake } = await startNetlify();
		for (const id of [fake.site.id, "beaver-dam.netlify.app", "beaver-dam"]) {
			expect(await netlify.identify({ ...access, target: { id, teamId: null } })).toEqual({
				target: { id: fake.site.id, teamId: fake.site.accountId },
				name: "beaver-dam",
				productionBranch: "main",
			});
		}
		expect(fake.exchanges[0]?.headers.authorization).toBe(`Bearer ${token}`);
	});

	it("that Netlify does not know is refused in our own words", async () => {
		const { netlify, access } = await startNetlify();
		const error = await failure(netlify.identify({ ...access, credentials: { token: "nfp_wrong" } }));
		expect(error).toMatchObject({
			reason: "unauthorized",
			status: 401,
			message: "Netlify refused the token.",
		});
	});

	it("that is missing, or that no header can carry, never reaches Netlify", async () => {
		const { netlify, access, fake } = await startNetlify();
		expect((await failure(netlify.identify({ ...access, credentials: {} }))).reason).toBe("unauthorized");
		const credentials = { token: `${token}\n` };
		expect((await failure(netlify.identify({ ...access, credentials }))).reason).toBe("invalid_request");
		expect(fake.exchanges).toEqual([]);
	});

	it("does not find a site that is not there, nor one of another account", async () => {
		const { netlify, access, fake } = await startNetlify();
		const strange = { ...fake.site, id: "strange-site", accountId: "66f0000000000000000000ee" };
		fake.sites.set(strange.id, strange);
		for (const id of ["nowhere", "strange-site", "../user"]) {
			expect((await failure(netlify.identify({ ...access, target: { id, teamId: null } }))).reason).toBe(
				"not_found",
			);
		}
	});

	it("is not judged while Netlify is down or out of its mind", async () => {
		const { netlify, access, fake } = await startNetlify();
		fake.failNext(503);
		expect((await failure(netlify.identify(access))).reason).toBe("unavailable");
		fake.garbleNext("<html>");
		expect((await failure(netlify.identify(access))).reason).toBe("unexpected_answer");
		await fake.close();
		expect((await failure(netlify.identify(access))).reason).toBe("unavailable");
	});

	it("may make 500 calls a minute; the next is told when to come again", async () => {
		const { netlify, access, fake } = await startNetlify();
		let limited: Awaited<ReturnType<typeof failure>> | null = null;
		// The minute may turn while they are counted.
		for (let round = 0; round < 2 && limited === null; round += 1) {
			const calls = await Promise.allSettled(Array.from({ length: 501 }, () => netlify.identify(access)));
			const refused = calls.find((call) => call.status === "rejected");
			if (refused !== undefined) limited = await failure(Promise.reject(refused.reason));
		}
		expect(limited).toMatchObject({ reason: "rate_limited", status: 429 });
		expect(limited?.retryAfterSeconds).toBeLessThanOrEqual(61);
		expect(fake.exchanges.at(-1)?.status).toBe(429);
	});

	it("sees its sites, of all accounts or of one", async () => {
		const sites = Array.from({ length: 130 }, (_, index) => ({ name: `dam-${index}` }));
		const { netlify, access, fake } = await startNetlify({ sites });
		const all = await netlify.listResources({ ...access, teamId: null });
		expect(all).toHaveLength(130);
		expect(all[0]).toEqual({
			id: fake.site.id,
			name: "dam-0",
			teamId: fake.site.accountId,
			teamName: "Example",
		});
		expect(fake.exchanges).toHaveLength(2);
		expect(await netlify.listResources({ ...access, teamId: "another" })).toEqual([]);
	});
});

describe("the deploys of a Netlify site", () => {
	it("are listed since a moment, newest first, page by page", async () => {
		const { netlify, access, fake } = await startNetlify();
		for (let index = 0; index < 250; index += 1) {
			fake.report({ created_at: new Date(Date.UTC(2026, 0, 1, 0, index)).toISOString(), state: "ready" });
		}
		const since = new Date(Date.UTC(2026, 0, 1, 0, 100));
		const found: string[] = [];
		let cursor: string | null = null;
		do {
			const page: Awaited<ReturnType<typeof netlify.listDeployments>> = await netlify.listDeployments(
				access,
				{ since, cursor },
			);
			found.push(...page.deployments.map((deployment) => deployment.createdAt?.toISOString() ?? ""));
			cursor = page.cursor;
		} while (cursor !== null);
		expect(found).toHaveLength(150);
		expect(found).toEqual(found.toSorted().reverse());
		expect(found.at(-1)).toBe(since.toISOString());
		expect(fake.exchanges).toHaveLength(2);
	});

	it("say the same in the list and by themselves as in a notification", async () => {
		const { netlify, access, fake } = await startNetlify();
		const deploy = fake.report({ state: "error", error_message: "Canceled build due to no content change" });
		const [listed] = (await netlify.listDeployments(access, { since: new Date(0), cursor: null }))
			.deployments;
		expect(await netlify.readDeployment(access, deploy.id)).toEqual(listed);
		const rawBody = Buffer.from(JSON.stringify(deploy));
		const event = netlify.readWebhook({ rawBody, headers: {}, event: "deploy_failed" });
		expect(event === null ? null : netlify.interpret(event)).toEqual(listed);
		expect(listed?.state).toBe("canceled");
	});

	it("can be begun again, and a preview stays one", async () => {
		const { netlify, access, fake } = await startNetlify();
		const { id } = fake.report({ branch: "feature/x", context: "deploy-preview", state: "ready" });
		const again = await netlify.redeploy(access, { deploymentId: id, branch: "feature/x" });
		const begun = fake.deploys.find((deploy) => deploy.id === again.deploymentId);
		expect(begun).toMatchObject({ branch: "feature/x", context: "deploy-preview", state: "building" });
	});

	it("are built by their branch where Netlify does not know the call, or the deploy any more", async () => {
		const { netlify, access, fake } = await startNetlify();
		const again = await netlify.redeploy(access, {
			deploymentId: "66f0000000000000000000ff",
			branch: "feature/x",
		});
		const begun = fake.deploys.find((deploy) => deploy.id === again.deploymentId);
		expect(begun).toMatchObject({ branch: "feature/x", context: "branch-deploy" });
	});

	it("are begun once, also when the answer cannot be read", async () => {
		const { netlify, access, fake } = await startNetlify();
		const { id } = fake.report({ branch: "feature/x" });
		fake.garbleNext("{}", { method: "POST" });
		expect(await netlify.redeploy(access, { deploymentId: id, branch: "feature/x" })).toEqual({
			deploymentId: null,
		});
		expect(fake.writes()).toHaveLength(1);
	});
});

describe("Netlify's OAuth flow", () => {
	const redirectUri = "https://capydb.example.com/v1/integrations/netlify/oauth/callback";
	const now = new Date("2026-05-01T00:00:00.000Z");
	const granted = (code: string) => ({ kind: "granted" as const, code, installationId: null, teamId: null });

	async function startOAuth() {
		const { fake, netlify, access } = await startNetlify();
		if (netlify.oauth === null) throw new Error("Its client is configured.");
		return { fake, netlify, access, oauth: netlify.oauth };
	}

	it("is off while its client is not configured, and names what is missing", () => {
		const netlify = createNetlify({ origin: "http://127.0.0.1:9", oauth: null });
		expect(netlify.oauth).toBeNull();
		expect(netlify.oauthVariables).toEqual(["NETLIFY_CLIENT_ID", "NETLIFY_CLIENT_SECRET"]);
	});

	it("sends the user to Netlify with the state and without our secret", async () => {
		const { oauth } = await startOAuth();
		const url = new URL(oauth.authorizeUrl({ state: "a state&", redirectUri, codeChallenge: "c" }));
		expect(`${url.origin}${url.pathname}`).toBe("https://app.netlify.com/authorize");
		expect(Object.fromEntries(url.searchParams)).toEqual({
			client_id: client.clientId,
			response_type: "code",
			redirect_uri: redirectUri,
			state: "a state&",
		});
	});

	it("reads what the callback brings", async () => {
		const { oauth } = await startOAuth();
		expect(oauth.readCallback({ code: "abc" })).toEqual(granted("abc"));
		expect(oauth.readCallback({ error: "access_denied", code: "abc" })).toEqual({
			kind: "refused",
			reason: "access_denied",
		});
		expect(oauth.readCallback({ error: "<script>" })).toEqual({ kind: "refused", reason: "other" });
		for (const query of [{}, { code: "" }, { code: ["a", "b"] }])
			expect(oauth.readCallback(query)).toBeNull();
	});

	it("turns a code into a token that works and lasts", async () => {
		const { fake, netlify, access, oauth } = await startOAuth();
		const callback = granted(fake.issueCode(redirectUri));
		const grant = await oauth.exchangeCode({ callback, redirectUri, codeVerifier: "v", now });
		expect(grant).toMatchObject({ expiresAt: null, teamId: null, installationId: null });
		expect(Object.keys(grant.credentials)).toEqual(["token"]);
		expect((await netlify.identify({ ...access, credentials: grant.credentials })).name).toBe("beaver-dam");
	});

	it("names the account by its user", async () => {
		const { fake, access, oauth } = await startOAuth();
		expect(await oauth.nameAccount({ credentials: access.credentials, teamId: null })).toBe(
			"Ada Beaver (ada@example.com)",
		);
		fake.garbleNext("{}");
		expect(await oauth.nameAccount({ credentials: access.credentials, teamId: null })).toMatch(/\w/);
	});

	it("takes a code once, and for its own address only", async () => {
		const { fake, oauth } = await startOAuth();
		const callback = granted(fake.issueCode(redirectUri));
		await oauth.exchangeCode({ callback, redirectUri, codeVerifier: "v", now });
		const again = await failure(oauth.exchangeCode({ callback, redirectUri, codeVerifier: "v", now }));
		expect(again).toMatchObject({ reason: "invalid_grant", status: 400, vendorCode: "invalid_grant" });
		const elsewhere = granted(fake.issueCode("https://evil.example.com/"));
		const stolen = await failure(
			oauth.exchangeCode({ callback: elsewhere, redirectUri, codeVerifier: "v", now }),
		);
		expect(stolen.reason).toBe("invalid_grant");
	});

	it("tells a wrong client of ours from a wrong code, and from Netlify being down", async () => {
		const { fake, oauth } = await startOAuth();
		const strange = createNetlify({ origin: fake.origin, oauth: { ...client, clientId: "unknown" } });
		const callback = granted(fake.issueCode(redirectUri));
		const exchange = { callback, redirectUri, codeVerifier: "v", now };
		if (strange.oauth === null) throw new Error("Its client is configured.");
		expect((await failure(strange.oauth.exchangeCode(exchange))).reason).toBe("invalid_client");
		fake.failNext(500);
		expect((await failure(oauth.exchangeCode(exchange))).reason).toBe("unavailable");
		fake.garbleNext('{"access_token":""}');
		expect((await failure(oauth.exchangeCode(exchange))).reason).toBe("unexpected_answer");
	});

	it("renews a token that expires, should Netlify give out such", async () => {
		const { fake, netlify, access, oauth } = await startOAuth();
		fake.quirks.tokensExpire = true;
		const callback = granted(fake.issueCode(redirectUri));
		const grant = await oauth.exchangeCode({ callback, redirectUri, codeVerifier: "v", now });
		expect(grant.expiresAt).toEqual(new Date("2026-05-01T02:00:00.000Z"));
		if (oauth.refresh === null) throw new Error("Tokens can be renewed.");
		const renewed = await oauth.refresh({ credentials: grant.credentials, now });
		expect(renewed.credentials.token).not.toBe(grant.credentials.token);
		expect((await netlify.identify({ ...access, credentials: renewed.credentials })).name).toBe("beaver-dam");
		expect((await failure(oauth.refresh({ credentials: grant.credentials, now }))).reason).toBe(
			"invalid_grant",
		);
		expect((await failure(oauth.refresh({ credentials: { token }, now }))).reason).toBe("invalid_grant");
	});

	it("keeps the means to renew a token when the answer brings no new ones", async () => {
		const { fake, oauth } = await startOAuth();
		fake.garbleNext('{"access_token":"nfo_new","token_type":"Bearer","expires_in":60}');
		const renewed = await oauth.refresh?.({ credentials: { token, refresh_token: "kept" }, now });
		expect(renewed).toMatchObject({
			credentials: { token: "nfo_new", refresh_token: "kept" },
			expiresAt: new Date("2026-05-01T00:01:00.000Z"),
		});
	});
});
