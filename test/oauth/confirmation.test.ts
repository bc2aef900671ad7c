import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { addKey } from "../api/world.ts";
import type { Tenant } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	agree,
	browse,
	callbackOf,
	comeBack,
	confirmationOf,
	integrationOf,
	type OAuthServer,
	press,
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
	on = { ...on, tenant: await on.server.tenant("Beaver & Sons") };
});

/** The page that a browser without the cookie is shown. */
async function shownPage(provider: string, tenant: Tenant = on.tenant): Promise<string> {
	const { state } = await start(on, provider, tenant);
	const { status, text, headers } = await comeBack(on, provider, agree(on, provider, state));
	expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
	return text;
}

describe.each([
	["vercel", "Acme"],
	["netlify", "Ada Beaver (ada@example.com)"],
])("a browser that did not begin the flow, back from %s", (provider, account) => {
	it("is shown whose account goes to which project of which organization, and nothing is connected yet", async () => {
		const page = await shownPage(provider);
		for (const named of [account, "Beaver &amp; Sons", "web"]) expect(page).toContain(`<dd>${named}</dd>`);
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
		expect(page).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
	});

	it("connects when its person agrees, once", async () => {
		const page = await shownPage(provider);
		const agreed = await press(page, "connect");
		expect([agreed.status, agreed.location?.searchParams.get("status")]).toEqual([302, "pending"]);
		expect(await integrationOf(on, on.tenant, provider)).toMatchObject({ state: "pending" });
		const again = await press(page, "connect");
		expect([again.status, JSON.parse(again.text).code]).toEqual([400, "oauth_confirmation.invalid"]);
	});

	it("connects nothing when its person does not, and the grant is erased", async () => {
		const page = await shownPage(provider);
		expect(await heldGrants()).toBe(1);
		const declined = await press(page, "cancel");
		expect([declined.status, declined.text]).toEqual([200, expect.stringContaining("Nothing was connected")]);
		expect((await press(page, "connect")).status).toBe(400);
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
		expect(await heldGrants()).toBe(0);
	});

	it("cannot be made to connect by whoever sent it the address", async () => {
		const page = await shownPage(provider);
		const { state } = await start(on, provider, on.tenant);
		for (const guess of [state, state.split(".")[0] ?? "", "x".repeat(32)]) {
			const posted = await post(provider, { confirmation: guess, decision: "connect" });
			expect([guess, posted.status]).toEqual([guess, 400]);
		}
		const other = provider === "vercel" ? "netlify" : "vercel";
		const elsewhere = await post(other, { confirmation: confirmationOf(page), decision: "connect" });
		expect(elsewhere.status).toBe(400);
		expect((await post(provider, {})).status).toBe(400);
		expect((await post(provider, { confirmation: confirmationOf(page), decision: "yes" })).status).toBe(400);
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
	});

	it("is asked also when it has the cookie of a flow of its own: another tenant's state gets no grant unseen", async () => {
		const victim = await on.server.tenant("Victim");
		const own = await start(on, provider, victim);
		const attackers = await start(on, provider, on.tenant);
		const answer = await comeBack(on, provider, agree(on, provider, attackers.state), own.cookie);
		expect(answer.status).toBe(200);
		expect(answer.text).toContain("<dd>Beaver &amp; Sons</dd>");
		expect(await integrationOf(on, on.tenant, provider)).toBeUndefined();
		expect(await integrationOf(on, victim, provider)).toBeUndefined();
	});
});

describe("a grant that waits to be confirmed", () => {
	it("waits for ten minutes, and is erased then", async () => {
		const page = await shownPage("netlify");
		expect(await heldGrants()).toBe(1);
		await on.server.advance(10 * 60_000);
		expect((await press(page, "connect")).status).toBe(400);
		await on.server.ctx.tasks.send("oauth.discard_expired", {});
		await until(async () => (await heldGrants()) === 0);
		expect(await integrationOf(on, on.tenant, "netlify")).toBeUndefined();
	});

	it("is not connected by a key that was revoked meanwhile, nor to a project that is gone", async () => {
		const { organizationId, projectId, key } = on.tenant;
		const weak = await addKey(on.server, organizationId, { scopes: ["projects:write"] });
		const page = await shownPage("vercel", { ...on.tenant, key: weak.key });
		await on.server.call("DELETE", `/v1/organizations/${organizationId}/api-keys/${weak.id}`, { key });
		const refused = await press(page, "connect");
		expect([refused.status, JSON.parse(refused.text).code]).toEqual([400, "oauth.caller_gone"]);
		const late = await shownPage("vercel");
		await on.server.call("DELETE", `/v1/projects/${projectId}`, { key });
		expect([404, 409]).toContain((await press(late, "connect")).status);
		expect(on.logged()).not.toContain(confirmationOf(late));
	});

	it("shows names as text, whatever is in them", async () => {
		const { projectId, key } = on.tenant;
		const name = `<img src=x onerror="a()">'`;
		await on.server.call("PATCH", `/v1/projects/${projectId}`, { key, body: { name } });
		const page = await shownPage("vercel");
		expect(page).not.toContain("<img");
		expect(page).toContain("<dd>&lt;img src=x onerror=&quot;a()&quot;&gt;&#39;</dd>");
	});

	it("is confirmed by a form alone", async () => {
		const page = await shownPage("vercel");
		const body = JSON.stringify({ confirmation: confirmationOf(page), decision: "connect" });
		const headers = { "content-type": "application/json" };
		const posted = await browse(callbackOf(on.server, "vercel"), { method: "POST", body, headers });
		expect([posted.status, JSON.parse(posted.text)]).toEqual([
			415,
			expect.objectContaining({
				error: "The body must be sent as application/x-www-form-urlencoded.",
				code: "body.unsupported",
			}),
		]);
		const large = await post("vercel", { confirmation: "x".repeat(5000), decision: "connect" });
		expect(large.status).toBe(413);
	});
});

function post(provider: string, fields: Record<string, string>) {
	return browse(callbackOf(on.server, provider), { method: "POST", body: new URLSearchParams(fields) });
}

/** How many grants of the test's project wait. */
async function heldGrants(): Promise<number> {
	const [row] = await on.server.sql<{ count: number }>(
		"select count(*)::int as count from oauth_flows where held_grant is not null and project_id = $1",
		[toUuid(on.tenant.projectId)],
	);
	return row?.count ?? 0;
}
