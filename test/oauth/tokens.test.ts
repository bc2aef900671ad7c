import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { type ProjectId, toUuid } from "../../src/core/ids.ts";
import { openCredentials, sealCredentials } from "../../src/integrations/integration-secrets.ts";
import { freshCredentials } from "../../src/integrations/platforms/fresh-credentials.ts";
import { endedJob } from "../integrations/clerk-server.ts";
import { newestJob } from "../integrations/platform-server.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
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
const opened: OAuthServer[] = [];
// One for each test: where time goes by, what others have connected is renewed too.
beforeEach(async () => {
	on = await startOAuthServer();
	opened.push(on);
});
afterAll(async () => {
	for (const each of opened) await each.close();
});

/** The user grants access at the platform, in the browser that began. Returns where it ends. */
async function grant(provider: string): Promise<URLSearchParams | undefined> {
	const { state, cookie } = await start(on, provider, on.tenant);
	const { location } = await comeBack(on, provider, agree(on, provider, state), cookie);
	return location?.searchParams;
}

function connect(provider: string, body: object) {
	const path = `/v1/projects/${on.tenant.projectId}/integrations/${provider}/connect`;
	return on.server.call("POST", path, { key: on.tenant.key, body });
}

function put(provider: string, body: object) {
	const path = `/v1/projects/${on.tenant.projectId}/integrations/${provider}`;
	return on.server.call("PUT", path, { key: on.tenant.key, body });
}

function resources(server: TestServer, provider: string) {
	const path = `/v1/projects/${on.tenant.projectId}/integrations/${provider}/resources`;
	return server.call("GET", path, { key: on.tenant.key });
}

async function newJobs(): Promise<{ id: string; type: string; state: string }[]> {
	const { body } = await on.server.call("GET", `/v1/projects/${on.tenant.projectId}/jobs`, {
		key: on.tenant.key,
	});
	return body.jobs.filter(({ type }: { type: string }) => type === "integration.sync_env");
}

describe("after OAuth", () => {
	it("Vercel's projects can be chosen from, and one connected without a token or a team", async () => {
		const project = on.vercel.addProject({ name: "shop" });
		expect((await grant("vercel"))?.get("status")).toBe("pending");
		const { body } = await resources(on.server, "vercel");
		expect(body.resources).toContainEqual(expect.objectContaining({ id: project.id, name: "shop" }));
		const connected = await connect("vercel", { vercel_project_id: "shop" });
		expect([connected.status, connected.body.integration]).toEqual([
			201,
			expect.objectContaining({ state: "active", external_id: project.id }),
		]);
		expect((await endedJob(on.server, on.tenant, connected.body.job.id)).state).toBe("completed");
		expect(project.variables.map(({ key }) => key).sort()).toEqual(["DATABASE_URL", "DATABASE_URL_UNPOOLED"]);
	});

	it("a project that was connected before is active again with the new token, and is pushed to", async () => {
		const project = on.vercel.addProject({ name: "blog" });
		const token = on.vercel.addToken();
		const first = await connect("vercel", { vercel_project_id: "blog", token, team_id: on.vercel.teamId });
		await endedJob(on.server, on.tenant, first.body.job.id);
		on.vercel.revokeToken(token);
		project.variables.length = 0;
		expect((await grant("vercel"))?.get("status")).toBe("active");
		const [job] = await newJobs();
		expect(job?.id).not.toBe(first.body.job.id);
		expect((await endedJob(on.server, on.tenant, job?.id ?? "")).state).toBe("completed");
		expect(project.variables.map(({ key }) => key).sort()).toEqual(["DATABASE_URL", "DATABASE_URL_UNPOOLED"]);
		const actions = await on.server.sql<{ action: string; actor_kind: string }>(
			"select action, actor_kind from audit_events order by id desc limit 1",
		);
		expect(actions).toEqual([{ action: "project.integration.connected", actor_kind: "api_key" }]);
	});

	it("a hook that went with the former grant stands again", async () => {
		const { id, variables } = on.vercel.addProject({ name: "docs" });
		await grant("vercel");
		const hooks = () => [...on.vercel.hooks.values()].filter(({ url }) => url.includes(on.tenant.projectId));
		await put("vercel", { external_id: id, config: { preview_branches: true } });
		// What a PUT asks for is done at once, and nothing looks at it again for an hour.
		await until(() => hooks().length === 1 && variables.length === 2);
		const [lost] = hooks();
		on.vercel.dropHook(lost?.id ?? "");
		expect((await grant("vercel"))?.get("status")).toBe("active");
		await until(() => hooks().length === 1);
		expect(hooks()[0]?.id).not.toBe(lost?.id);
	});

	it("one that the user disabled stays so", async () => {
		await grant("netlify");
		await put("netlify", { state: "disabled" });
		expect((await grant("netlify"))?.get("status")).toBe("disabled");
		expect(await newJobs()).toEqual([]);
	});
});

describe("a token that expires", () => {
	const renewals = () =>
		on.netlify.exchanges.filter(
			({ path, body }) =>
				path === "/oauth/token" && (body as { grant_type?: string }).grant_type === "refresh_token",
		);

	/** As many replicas as are asked for, whose clocks have seen the time go by. */
	function replicas(count: number): Promise<TestServer[]> {
		const env = { ...clientEnv(on.vercel, on.netlify), PUBLIC_URL: on.server.url, ROLE: "api" };
		const { databaseUrl } = on.server;
		return Promise.all(Array.from({ length: count }, () => startTestServer({ env, databaseUrl })));
	}

	it("is renewed before it is used, once, on however many replicas it is asked for", async () => {
		on.netlify.quirks.tokensExpire = true;
		await grant("netlify");
		const before = renewals().length;
		expect((await resources(on.server, "netlify")).status).toBe(200);
		expect(renewals().length).toBe(before);
		const [former = ""] = [...on.netlify.tokens.keys()].slice(-1);
		await on.server.advance(2 * 3600_000);
		const servers = await replicas(2);
		on.netlify.revokeToken(former);
		const asked = await Promise.all(
			[...servers, ...servers, ...servers].map((server) => resources(server, "netlify")),
		);
		expect(asked.map(({ status, text }) => [status, text.length > 20])).toEqual(Array(6).fill([200, true]));
		expect(renewals().length).toBe(before + 1);
		const secrets = [...on.netlify.tokens.keys(), ...on.netlify.oauth.refresh.keys()].filter(
			(each) => each.length > 20,
		);
		expect(secrets.length).toBeGreaterThan(1);
		for (const secret of secrets) expect(on.logged()).not.toContain(secret);
	});

	it("is not renewed once more by work that has read the former one", async () => {
		on.netlify.quirks.tokensExpire = true;
		await grant("netlify");
		const projectId = on.tenant.projectId as ProjectId;
		const read = await on.server.ctx.stores.integrations.findByProvider(projectId, "netlify");
		await on.server.advance(2 * 3600_000);
		const contexts = (await replicas(2)).map(({ ctx }) => ctx);
		const before = renewals().length;
		const tokens = [];
		for (const ctx of [...contexts, ...contexts]) {
			const provider = ctx.providers.deployment.find(({ id }) => id === "netlify");
			if (!provider || !read) throw new Error("There is nothing to renew.");
			tokens.push((await freshCredentials(ctx, read, provider)).token);
		}
		expect(renewals().length).toBe(before + 1);
		expect(new Set(tokens)).toEqual(new Set([[...on.netlify.tokens.keys()].at(-1)]));
	});

	it.each([true, false])(
		"is kept when the former is sealed anew while it is renewed, but not over another one (%s)",
		async (isAnew) => {
			Object.assign(on.netlify.quirks, { tokensExpire: true, tokenSeconds: 60 });
			await grant("netlify");
			const { vault, stores } = on.server.ctx;
			const found = await stores.integrations.findByProvider(on.tenant.projectId as ProjectId, "netlify");
			if (!found) throw new Error("There is no integration.");
			const held = on.netlify.holdNext(/oauth.token/);
			const asked = resources(on.server, "netlify");
			await held.arrived;
			const given = isAnew ? openCredentials(vault, found) : { token: on.netlify.token };
			await stores.integrations.update(found.id, { credentials: sealCredentials(vault, found, given) });
			held.release();
			expect((await asked).status).toBe(200);
			const after = await stores.integrations.find(found.id);
			const kept = after && openCredentials(vault, after);
			const newest = [...on.netlify.tokens.keys()].at(-1);
			expect(kept?.token).toBe(isAnew ? newest : on.netlify.token);
			expect(newest).not.toBe(given.token);
		},
	);

	it("that cannot be renewed is a 400 that says so, an outage a 502 that a later try gets over", async () => {
		on.netlify.quirks.tokensExpire = true;
		await grant("netlify");
		await on.server.advance(2 * 3600_000);
		const [server] = await replicas(1);
		if (!server) throw new Error("There is no replica.");
		on.netlify.failNext(503, { path: /oauth/ });
		expect((await resources(server, "netlify")).status).toBe(502);
		expect((await resources(server, "netlify")).status).toBe(200);
		await on.server.advance(2 * 3600_000);
		on.netlify.oauth.refresh.clear();
		const [later] = await replicas(1);
		const refused = later && (await resources(later, "netlify"));
		expect([refused?.status, refused?.body.code]).toEqual([400, "provider.invalid_grant"]);
	});

	it("is renewed for a PUT that names another site, and can be renewed again afterwards", async () => {
		Object.assign(on.netlify.quirks, { tokensExpire: true, tokenSeconds: 60 });
		await grant("netlify");
		const before = renewals().length;
		const { status, body } = await put("netlify", { external_id: on.netlify.site.id });
		expect([status, body.integration?.state]).toEqual([200, "active"]);
		expect((await resources(on.server, "netlify")).status).toBe(200);
		expect(renewals().length).toBeGreaterThanOrEqual(before + 2);
	});

	it("whose renewal is refused puts the integration into the state error, but does not keep it from going", async () => {
		Object.assign(on.netlify.quirks, { tokensExpire: true, tokenSeconds: 60 });
		await grant("netlify");
		const connected = await connect("netlify", { site_id: on.netlify.site.id });
		expect((await endedJob(on.server, on.tenant, connected.body.job.id)).state).toBe("completed");
		on.netlify.oauth.refresh.clear();
		const path = `/v1/projects/${on.tenant.projectId}/integrations/netlify`;
		const refused = await connect("netlify", { site_id: on.netlify.site.id });
		expect([refused.status, refused.body.code]).toEqual([400, "provider.invalid_grant"]);
		const { body } = await on.server.call("POST", `${path}/sync`, { key: on.tenant.key });
		expect(await endedJob(on.server, on.tenant, body.job.id)).toMatchObject({
			state: "failed",
			retry_classification: "permanent",
		});
		expect(await integrationOf(on, on.tenant, "netlify")).toMatchObject({
			state: "error",
			config: { last_error: expect.stringContaining("Netlify did not take the authorization") },
		});
		await on.server.call("DELETE", path, { key: on.tenant.key });
		expect((await newestJob(on.server, on.tenant, "integration.disconnect")).state).toBe("completed");
		const [kept] = await on.server.sql("select 1 from integrations where project_id = $1", [
			toUuid(on.tenant.projectId),
		]);
		expect(kept).toBeUndefined();
	});

	it.each(["connect", "PUT"])("is not renewed any more once the user gave another one by %s", async (how) => {
		on.netlify.quirks.tokensExpire = true;
		await grant("netlify");
		const [id, token] = [on.netlify.site.id, on.netlify.token];
		const { status } =
			how === "connect"
				? await connect("netlify", { site_id: id, token })
				: await put("netlify", { external_id: id, credentials: { token } });
		expect(status).toBe(how === "connect" ? 201 : 200);
		await on.server.advance(2 * 3600_000);
		const before = renewals().length;
		const [server] = await replicas(1);
		expect(server && (await resources(server, "netlify")).status).toBe(200);
		expect(renewals().length).toBe(before);
		expect(await integrationOf(on, on.tenant, "netlify")).toMatchObject({ state: "active" });
	});
});
