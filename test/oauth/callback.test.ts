import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { startTestServer, testKey } from "../support/server.ts";
import {
	agree,
	clientEnv,
	comeBack,
	integrationOf,
	type OAuthServer,
	start,
	startOAuthServer,
} from "./oauth-server.ts";

let on: OAuthServer;
beforeAll(async () => {
	on = await startOAuthServer();
}, 60_000);
afterAll(() => on.close());
/** Each test has a project that nobody connected yet. */
beforeEach(async () => {
	on = { ...on, tenant: await on.server.tenant() };
});

const providers = ["vercel", "netlify"] as const;

describe.each(providers)("the OAuth callback of %s", (provider) => {
	it("connects the project in the browser that began, and sends it home without code, state or token", async () => {
		const { state, cookie } = await start(on, provider, on.tenant);
		const query = agree(on, provider, state);
		const answer = await comeBack(on, provider, query, cookie);
		expect([answer.status, answer.text]).toEqual([302, ""]);
		expect(answer.location?.href).toBe(
			`${on.server.url}/v1/integrations/${provider}/oauth/done?project_id=${on.tenant.projectId}&provider=${provider}&status=pending`,
		);
		expect(answer.headers.get("set-cookie")).toMatch(/^capydb_oauth_\w+=; Max-Age=0;/);
		expect(await integrationOf(on, on.tenant, provider)).toMatchObject({
			state: "pending",
			external_id: null,
			has_credentials: true,
		});
		const home = await fetch(answer.location ?? "");
		expect([home.status, home.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
		expect(await home.text()).toMatch(/has given access/);
	});

	it("keeps what was granted sealed, and leaves token, code, state and cookie out of log and answers", async () => {
		const { state, cookie } = await start(on, provider, on.tenant);
		const query = agree(on, provider, state);
		const answers = [
			await comeBack(on, provider, query, cookie),
			await comeBack(on, provider, query, cookie),
			await comeBack(on, provider, { ...Object.fromEntries(query), state: `${state}x` }, cookie),
		];
		const token = tokensOf(on, provider).at(-1) ?? "";
		const [, secret = ""] = cookie.split("=");
		const said = answers.map(({ text, location }) => `${text} ${location}`).join("\n");
		const listed = JSON.stringify(await integrationOf(on, on.tenant, provider));
		const [dump] = await on.server.sql<{ text: string }>(
			"select (select json_agg(i) from integrations i)::text || (select json_agg(f) from oauth_flows f)::text as text",
		);
		expect(on.logged()).toContain("/oauth/callback");
		for (const hidden of [token, query.get("code") ?? "", state, secret]) {
			expect(hidden.length).toBeGreaterThan(10);
			for (const text of [on.logged(), said, listed, dump?.text]) expect(text).not.toContain(hidden);
		}
	});

	it("ends a flow that began before the encryption key changed, on a replica that seals with the new one", async () => {
		const own = await startOAuthServer();
		onTestFinished(own.close);
		const { state, cookie } = await start(own, provider, own.tenant);
		const replica = await startTestServer({
			env: { ...clientEnv(own.vercel, own.netlify), PUBLIC_URL: own.server.url },
			databaseUrl: own.server.databaseUrl,
			keys: [{ id: "next", key: Buffer.alloc(32, 9) }, testKey],
			keep: true,
		});
		onTestFinished(() => replica.close());
		const answer = await comeBack({ server: replica }, provider, agree(own, provider, state), cookie);
		// A browser that did not begin it would be shown a page instead.
		expect([answer.status, answer.text]).toEqual([302, ""]);
		expect(answer.location?.searchParams.get("status")).toBe("pending");
	});

	it("refuses a forged state, one of another provider, and one that is no state at all", async () => {
		const { state, cookie } = await start(on, provider, on.tenant);
		const other = await start(on, provider === "vercel" ? "netlify" : "vercel", on.tenant);
		const [nonce = "", signature = ""] = state.split(".");
		const forged = [
			`${nonce}.${"A".repeat(43)}`,
			`${"A".repeat(32)}.${signature}`,
			`${nonce}.${other.state.split(".")[1]}`,
			`${nonce}.`,
			nonce,
			"x",
			`${state}\u0000`,
			other.state,
		];
		for (const wrong of forged) {
			const answer = await comeBack(on, provider, agree(on, provider, wrong), cookie);
			expect([wrong, answer.status, JSON.parse(answer.text).code]).toEqual([
				wrong,
				400,
				"oauth_state.invalid",
			]);
		}
		const twice = new URLSearchParams([...agree(on, provider, state), ["state", state]]);
		expect((await comeBack(on, provider, twice, cookie)).status).toBe(400);
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
		expect((await comeBack(on, provider, agree(on, provider, state), cookie)).status).toBe(302);
	});

	it("takes a state once, also when it comes back many times at once", async () => {
		const { state, cookie } = await start(on, provider, on.tenant);
		const many = Array.from({ length: 10 }, () => comeBack(on, provider, agree(on, provider, state), cookie));
		const statuses = (await Promise.all(many)).map(({ status }) => status).sort();
		expect(statuses).toEqual([302, ...Array(9).fill(400)]);
		const late = await comeBack(on, provider, agree(on, provider, state), cookie);
		expect([late.status, JSON.parse(late.text)]).toEqual([
			400,
			expect.objectContaining({
				error: "`state` was used already. Start again from the dashboard.",
				code: "oauth_state.used",
			}),
		]);
	});

	it("takes a state for ten minutes", async () => {
		const [old, young] = [await start(on, provider, on.tenant), await start(on, provider, on.tenant)];
		await on.server.advance(9 * 60_000);
		expect((await comeBack(on, provider, agree(on, provider, young.state), young.cookie)).status).toBe(302);
		await on.server.advance(1.1 * 60_000);
		const answer = await comeBack(on, provider, agree(on, provider, old.state), old.cookie);
		expect([answer.status, JSON.parse(answer.text).error]).toEqual([
			400,
			"`state` is older than 10 minutes. Start again from the dashboard.",
		]);
	});

	it("passes the provider's refusals on as 400 and its outages as 502, in our own words", async () => {
		const comingBackWith = async (query: (state: string) => URLSearchParams | Record<string, string>) => {
			const { state, cookie } = await start(on, provider, on.tenant);
			const { status, text } = await comeBack(on, provider, query(state), cookie);
			return [status, JSON.parse(text).code];
		};
		const denied = { error: "access_denied", error_description: "<b>no</b>" };
		expect(await comingBackWith((state) => ({ ...denied, state }))).toEqual([400, "oauth.refused"]);
		expect(await comingBackWith((state) => ({ error: "<script>", state }))).toEqual([400, "oauth.refused"]);
		expect(await comingBackWith((state) => ({ state }))).toEqual([400, "oauth.code_missing"]);
		expect(await comingBackWith((state) => ({ code: "never-given-out", state }))).toEqual([
			400,
			"provider.invalid_grant",
		]);
		on[provider].failNext(500);
		expect(await comingBackWith((state) => agree(on, provider, state))).toEqual([
			502,
			"provider.unavailable",
		]);
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
	});

	it("leaves the code out of the log also when the exchange fails", async () => {
		for (const status of [400, 401, 500]) {
			const { state, cookie } = await start(on, provider, on.tenant);
			const query = agree(on, provider, state);
			on[provider].failNext(status);
			const answer = await comeBack(on, provider, query, cookie);
			expect(answer.status).toBe(status === 500 ? 502 : 400);
			for (const hidden of [query.get("code") ?? "", state]) {
				expect(hidden.length).toBeGreaterThan(10);
				expect(answer.text + on.logged()).not.toContain(hidden);
			}
		}
		for (const { clientSecret } of [on.vercel.integration, on.netlify.oauth])
			expect(on.logged()).not.toContain(clientSecret);
	});

	it("does not let itself be put in a frame, and tells nobody where it was called from", async () => {
		const { state } = await start(on, provider, on.tenant);
		const shown = await comeBack(on, provider, agree(on, provider, state));
		const refused = await comeBack(on, provider, {});
		expect([shown.status, refused.status]).toEqual([200, 400]);
		for (const { headers } of [shown, refused]) {
			expect(headers.get("referrer-policy")).toBe("no-referrer");
			expect(headers.get("content-security-policy")).toMatch(/default-src 'none';.*frame-ancestors 'none'/);
			expect(headers.get("cache-control")).toBe("no-store");
		}
	});
});

it("is limited per address, for it asks no credential", async () => {
	const server = await startTestServer({
		env: { ...clientEnv(on.vercel, on.netlify), RATE_LIMIT_PER_SECOND: "1", ROLE: "api" },
		databaseUrl: on.server.databaseUrl,
	});
	const answers = await Promise.all(Array.from({ length: 20 }, () => comeBack({ server }, "vercel", {})));
	const limited = answers.filter(({ status }) => status === 429);
	expect(limited.length).toBeGreaterThan(5);
	expect(limited[0]?.headers.get("retry-after")).toMatch(/^[1-9]/);
});

describe("where the browser ends", () => {
	let withDashboard: OAuthServer;
	beforeAll(async () => {
		withDashboard = await startOAuthServer({ DASHBOARD_URL: "https://app.example.com/base" });
	}, 60_000);
	afterAll(() => withDashboard.close());

	it("is the dashboard that the operator names, whatever `next` says", async () => {
		const on = withDashboard;
		const { state, cookie } = await start(on, "vercel", on.tenant);
		const query = agree(on, "vercel", state);
		expect(query.get("next")).toBe("https://vercel.com/done");
		const { location } = await comeBack(on, "vercel", query, cookie);
		expect(location?.href).toBe(
			`https://app.example.com/base?project_id=${on.tenant.projectId}&provider=vercel&status=pending`,
		);
	});

	it("is a page that asks to start from the dashboard, for an installation begun in Vercel's marketplace", async () => {
		const on = withDashboard;
		const before = on.vercel.installations.size;
		const answer = await comeBack(on, "vercel", agree(on, "vercel", null));
		expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
		expect(answer.text).toContain('<a href="https://app.example.com/base">the dashboard</a>');
		expect(on.vercel.installations.size).toBe(before);
		const atNetlify = await comeBack(on, "netlify", agree(on, "netlify", null));
		expect([atNetlify.status, JSON.parse(atNetlify.text).code]).toEqual([400, "oauth_state.missing"]);
	});

	it("is a refusal when the installation in the address is not the one that was granted", async () => {
		const { state, cookie } = await start(on, "vercel", on.tenant);
		const query = agree(on, "vercel", state);
		query.set("configurationId", "icfg_of_somebody_else");
		const answer = await comeBack(on, "vercel", query, cookie);
		expect([answer.status, JSON.parse(answer.text).code]).toEqual([400, "provider.invalid_grant"]);
		expect(await integrationOf(on, on.tenant, "vercel")).toBeUndefined();
	});
});

function tokensOf({ vercel, netlify }: OAuthServer, provider: string): string[] {
	return [...(provider === "vercel" ? vercel : netlify).tokens.keys()];
}
