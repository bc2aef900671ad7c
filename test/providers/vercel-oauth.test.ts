import { describe, expect, it } from "vitest";
import type { OAuthCallback, PlatformOAuth } from "../../src/providers/oauth.ts";
import { createVercel } from "../../src/providers/vercel/index.ts";
import { refusalOf, startVercelSite, type VercelSite } from "./vercel-site.ts";

const now = new Date();

describe("installing the integration at Vercel", () => {
	it("sends the user to the integration's page with our state", async () => {
		const { oauth } = await start();
		const url = oauth.authorizeUrl({
			state: "s+1/2=",
			redirectUri: "https://capydb.example.com/cb",
			codeChallenge: "x",
		});
		expect(url).toBe("https://vercel.com/integrations/capydb-fake/new?state=s%2B1%2F2%3D");
		expect(oauth.usesPkce).toBe(false);
	});

	it("gives a token of the team, which lasts and needs no refresh", async () => {
		const { site, oauth } = await start();
		const grant = await exchange(site, oauth, agreed(site, oauth));
		const [installation] = [...site.fake.installations.values()];
		expect(grant).toEqual({
			credentials: { token: installation?.token },
			expiresAt: null,
			teamId: site.fake.teamId,
			installationId: installation?.id,
		});
		expect(oauth.refresh).toBeNull();
		const target = { id: site.project.id, teamId: grant.teamId };
		expect((await site.vercel.identify({ credentials: grant.credentials, target })).name).toBe("web");
	});

	it("works for a personal account, and when the marketplace began it without a state", async () => {
		const { site, oauth } = await start();
		const url = site.fake.install(null, null);
		expect(url.searchParams.get("state")).toBeNull();
		const grant = await exchange(site, oauth, read(oauth, url));
		expect(grant.teamId).toBeNull();
	});

	it("takes a code once", async () => {
		const { site, oauth } = await start();
		const callback = agreed(site, oauth);
		await exchange(site, oauth, callback);
		const error = await refusalOf(exchange(site, oauth, callback));
		expect([error.reason, error.vendorCode]).toEqual(["invalid_grant", "invalid_grant"]);
		expect(error.message).not.toContain(callback.code);
	});

	it("refuses an expired code, and one that was given for another callback address", async () => {
		const { site, oauth } = await start();
		const old = read(oauth, site.fake.install("s", site.fake.teamId, new Date(Date.now() - 31 * 60 * 1000)));
		expect((await refusalOf(exchange(site, oauth, old))).reason).toBe("invalid_grant");
		const callback = agreed(site, oauth);
		const elsewhere = oauth.exchangeCode({
			callback,
			redirectUri: "https://evil.example.com",
			codeVerifier: "",
			now,
		});
		expect((await refusalOf(elsewhere)).reason).toBe("invalid_grant");
	});

	it("refuses an installation that is not the one of the code", async () => {
		const { site, oauth } = await start();
		const forged = { ...agreed(site, oauth), installationId: "icfg_of_somebody_else" };
		const error = await refusalOf(exchange(site, oauth, forged));
		expect([error.reason, error.message]).toEqual([
			"invalid_grant",
			"The installation in the callback is not the one that Vercel granted.",
		]);
	});

	it("asks for the installation with the new token where Vercel's answer does not name it", async () => {
		const { site, oauth } = await start();
		const own = await exchange(site, oauth, agreed(site, oauth));
		const other = site.fake.addTeam("Beta");
		const token = site.fake.addToken({ teamIds: [other], isPersonal: false });
		const answer = JSON.stringify({ access_token: token, team_id: other });
		site.fake.garbageNext(answer, { matches: /access_token$/ });
		const theirs = { ...agreed(site, oauth), installationId: own.installationId };
		expect((await refusalOf(exchange(site, oauth, theirs))).reason).toBe("invalid_grant");
		site.fake.garbageNext(JSON.stringify({ access_token: own.credentials.token, team_id: own.teamId }), {
			matches: /access_token$/,
		});
		expect((await exchange(site, oauth, theirs)).installationId).toBe(own.installationId);
	});

	it("names the account by its team, by its user, and by an id where it may not ask for more", async () => {
		const { site, oauth } = await start();
		const grant = await exchange(site, oauth, agreed(site, oauth));
		expect(await oauth.nameAccount(grant)).toBe("Acme");
		const credentials = { token: site.fake.addToken() };
		expect(await oauth.nameAccount({ credentials, teamId: null })).toBe("ada");
		const narrow = { token: site.fake.addToken({ projectId: site.project.id }) };
		expect(await oauth.nameAccount({ credentials: narrow, teamId: "team_x" })).toBe("team_x");
		const refusal = refusalOf(oauth.nameAccount({ credentials: { token: "vct_wrong" }, teamId: null }));
		expect((await refusal).reason).toBe("forbidden");
	});

	it("says when the server's own client is wrong", async () => {
		const { site } = await start();
		const client = { ...site.fake.integration, clientSecret: "wrong-secret" };
		const { oauth } = createVercel({ origin: site.fake.origin, oauth: client });
		if (oauth === null) throw new Error("There is no OAuth.");
		const error = await refusalOf(exchange(site, oauth, agreed(site, oauth)));
		expect([error.reason, error.message]).toEqual([
			"invalid_client",
			"Vercel does not know this server's OAuth client.",
		]);
		expect(JSON.stringify([error, String(error.cause)])).not.toContain("wrong-secret");
	});

	it("repeats nothing that a refusal echoes of what was sent", async () => {
		const { site, oauth } = await start();
		const callback = agreed(site, oauth);
		site.fake.failNext(400, { code: callback.code });
		const ofCode = await refusalOf(exchange(site, oauth, callback));
		site.fake.failNext(400, { code: `bad ${site.fake.integration.clientSecret}` });
		const ofSecret = await refusalOf(exchange(site, oauth, callback));
		expect([ofCode.vendorCode, ofSecret.vendorCode]).toEqual([undefined, undefined]);
	});

	it("tells an outage, a limit and nonsense from a refusal", async () => {
		const { site, oauth } = await start();
		const failed = async () => (await refusalOf(exchange(site, oauth, agreed(site, oauth)))).reason;
		site.fake.failNext(502);
		expect(await failed()).toBe("unavailable");
		site.fake.rateLimitNext(1);
		expect(await failed()).toBe("rate_limited");
		site.fake.garbageNext('{"access_token": ""}');
		expect(await failed()).toBe("unexpected_answer");
	});

	it("gives the installation back, and its token is dead then; a second time is no failure", async () => {
		const { site, oauth } = await start();
		const grant = await exchange(site, oauth, agreed(site, oauth));
		await oauth.revoke?.(grant);
		expect(site.fake.installations.size).toBe(0);
		const target = { id: site.project.id, teamId: grant.teamId };
		const call = site.vercel.identify({ credentials: grant.credentials, target });
		expect((await refusalOf(call)).reason).toBe("forbidden");
		await oauth.revoke?.(grant);
		await oauth.revoke?.({ ...grant, installationId: null });
	});

	it("reads a refusal in the callback by its name only, and nothing from an empty one", async () => {
		const { oauth } = await start();
		const refusal = { error: "access_denied", error_description: "<b>no</b>" };
		expect(oauth.readCallback(refusal)).toEqual({ kind: "refused", reason: "access_denied" });
		expect(oauth.readCallback({ error: "<b>" })).toEqual({ kind: "refused", reason: "other" });
		for (const query of [{}, { code: "" }, { code: ["a", "b"] }, { state: "s" }]) {
			expect(oauth.readCallback(query)).toBeNull();
		}
	});

	it("is not there while it is not configured, and names what is missing", () => {
		const { oauth, oauthVariables } = createVercel({ origin: "http://127.0.0.1:9", oauth: null });
		expect(oauth).toBeNull();
		expect(oauthVariables).toEqual(["VERCEL_CLIENT_ID", "VERCEL_CLIENT_SECRET", "VERCEL_INTEGRATION_SLUG"]);
	});
});

type Granted = Extract<OAuthCallback, { kind: "granted" }>;

async function start(): Promise<{ site: VercelSite; oauth: PlatformOAuth }> {
	const site = await startVercelSite();
	const { oauth } = site.vercel;
	if (oauth === null) throw new Error("There is no OAuth.");
	return { site, oauth };
}

/** The callback of a user who agreed. */
function agreed({ fake }: VercelSite, oauth: PlatformOAuth): Granted {
	return read(oauth, fake.install("our-state", fake.teamId));
}

function read(oauth: PlatformOAuth, url: URL): Granted {
	const callback = oauth.readCallback(Object.fromEntries(url.searchParams));
	if (callback?.kind !== "granted") throw new Error("The callback is no grant.");
	return callback;
}

function exchange({ fake }: VercelSite, oauth: PlatformOAuth, callback: Granted) {
	return oauth.exchangeCode({ callback, redirectUri: fake.integration.redirectUri, codeVerifier: "", now });
}
