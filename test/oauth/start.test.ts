import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addKey } from "../api/world.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import {
	agree,
	browse,
	clientEnv,
	comeBack,
	type OAuthServer,
	start,
	startOAuthServer,
} from "./oauth-server.ts";

let on: OAuthServer;
beforeAll(async () => {
	on = await startOAuthServer();
}, 60_000);
afterAll(() => on.close());

const providers = ["vercel", "netlify"] as const;

function ask(
	server: TestServer,
	provider: string,
	{ key, projectId }: { key: string | null; projectId: string },
) {
	return server.call("GET", `/v1/integrations/${provider}/oauth/start?project_id=${projectId}`, { key });
}

describe("starting OAuth", () => {
	it("names the platform's own page, our callback and a fresh state", async () => {
		const [vercel, netlify] = [await start(on, "vercel", on.tenant), await start(on, "netlify", on.tenant)];
		expect(vercel.authorizeUrl.href).toBe(
			`https://vercel.com/integrations/${on.vercel.integration.slug}/new?state=${vercel.state}`,
		);
		expect(`${netlify.authorizeUrl.origin}${netlify.authorizeUrl.pathname}`).toBe(
			"https://app.netlify.com/authorize",
		);
		expect(Object.fromEntries(netlify.authorizeUrl.searchParams)).toEqual({
			client_id: on.netlify.oauth.clientId,
			response_type: "code",
			redirect_uri: `${on.server.url}/v1/integrations/netlify/oauth/callback`,
			state: netlify.state,
		});
		const states = [vercel.state, netlify.state, (await start(on, "vercel", on.tenant)).state];
		expect(new Set(states).size).toBe(3);
	});

	it("gives the browser a cookie that no script reads and that comes back from the platform", async () => {
		const { headers } = await ask(on.server, "vercel", on.tenant);
		expect(headers.get("set-cookie")).toMatch(
			/^capydb_oauth_vercel=[A-Za-z0-9_-]{43}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/,
		);
	});

	it("under https gives one that travels by https alone and that no other host can set", async () => {
		const server = await startTestServer({
			env: { ...clientEnv(on.vercel, on.netlify), PUBLIC_URL: "https://api.example.com/capydb", ROLE: "api" },
			databaseUrl: on.server.databaseUrl,
		});
		const { headers, body } = await ask(server, "netlify", on.tenant);
		expect(headers.get("set-cookie")).toMatch(/^__Host-capydb_oauth_netlify=.*; Path=\/;.*; Secure$/);
		expect(new URL(body.authorize_url).searchParams.get("redirect_uri")).toBe(
			"https://api.example.com/capydb/v1/integrations/netlify/oauth/callback",
		);
	});

	it("is refused without a key, without the scope, and by a key of another project", async () => {
		const { organizationId, projectId } = on.tenant;
		const { key: weak } = await addKey(on.server, organizationId, { scopes: ["projects:read"] });
		const second = await on.server.call("POST", "/v1/projects", {
			key: on.tenant.key,
			body: { name: "second" },
		});
		const { key: ofOther } = await addKey(on.server, organizationId, {
			scopes: ["*"],
			project_id: second.body.project.id,
		});
		expect((await ask(on.server, "vercel", { key: null, projectId })).status).toBe(401);
		expect((await ask(on.server, "vercel", { key: weak, projectId })).body.code).toBe("scope.missing");
		expect((await ask(on.server, "vercel", { key: ofOther, projectId })).body.code).toBe("project.limit");
	});

	it("says of another tenant's project what it says of one that never was, to whatever key", async () => {
		const { key, organizationId } = await on.server.tenant("other");
		const { key: weak } = await addKey(on.server, organizationId, { scopes: ["jobs:read"] });
		const never = "prj_01h455vb4pex5vsknk084sn02q";
		for (const projectId of [on.tenant.projectId, never, "x", "%00"]) {
			for (const provider of ["vercel", "netlify", "clerk"]) {
				for (const caller of [key, weak]) {
					const { status, body } = await ask(on.server, provider, { key: caller, projectId });
					expect([projectId, status, body.error]).toEqual([projectId, 404, "No such project."]);
				}
			}
		}
	});

	it("names what is missing or wrong", async () => {
		const { key, projectId } = on.tenant;
		const without = await on.server.call("GET", "/v1/integrations/vercel/oauth/start", { key });
		expect([without.status, without.body.error]).toEqual([400, "`project_id` is required."]);
		const twice = await ask(on.server, "vercel", { key, projectId: `${projectId}&project_id=${projectId}` });
		expect([twice.status, twice.body.error]).toEqual([404, "No such project."]);
		const clerk = await ask(on.server, "clerk", { key, projectId });
		expect([clerk.status, clerk.body.code]).toEqual([400, "oauth.unsupported"]);
		const unknown = await ask(on.server, "heroku", { key, projectId });
		expect([unknown.status, unknown.body.error]).toEqual([404, "No such provider."]);
	});

	it.each([
		[
			"vercel",
			{ VERCEL_CLIENT_SECRET: "" },
			"VERCEL_CLIENT_ID, VERCEL_CLIENT_SECRET, VERCEL_INTEGRATION_SLUG",
		],
		["netlify", { NETLIFY_CLIENT_ID: "" }, "NETLIFY_CLIENT_ID, NETLIFY_CLIENT_SECRET"],
	])("names the variables of %s while one of them is not set", async (provider, env, names) => {
		const server = await startTestServer({
			env: { ...clientEnv(on.vercel, on.netlify), ...env, ROLE: "api" },
			databaseUrl: on.server.databaseUrl,
		});
		const { status, body } = await ask(server, provider, on.tenant);
		expect([status, body.code]).toEqual([400, "oauth.not_configured"]);
		expect(body.error).toContain(names);
		const callback = await browse(`${server.url}/v1/integrations/${provider}/oauth/callback?code=a&state=b`);
		expect([callback.status, JSON.parse(callback.text).code]).toEqual([400, "oauth.not_configured"]);
	});

	it("works for a person who is on another replica when they come back", async () => {
		const server = await startTestServer({
			env: { ...clientEnv(on.vercel, on.netlify), PUBLIC_URL: on.server.url, ROLE: "api" },
			databaseUrl: on.server.databaseUrl,
		});
		for (const provider of providers) {
			const { state, cookie } = await start(on, provider, on.tenant);
			const query = agree(on, provider, state);
			expect((await comeBack({ server }, provider, query, cookie)).status).toBe(302);
		}
	});
});
