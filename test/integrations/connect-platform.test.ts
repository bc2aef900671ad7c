import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { endedJob, getIntegration } from "./clerk-server.ts";
import {
	askConnectVercel,
	connections,
	connectNetlify,
	connectVercel,
	eventTypes,
	jobsOf,
	newestJob,
	platformPath,
	startNetlifyServer,
	startVercelServer,
} from "./platform-server.ts";

describe("connecting a project to Vercel", () => {
	it("checks the token, saves, pushes both URLs, and leaves the fake as it was once disconnected", async () => {
		const site = await startVercelServer();
		const { server, vercel, tenant, project } = site;
		const { integration, job } = await connectVercel(site, { preview_branches: true });
		expect(integration).toMatchObject({
			provider: "vercel",
			state: "active",
			external_id: project.id,
			has_credentials: true,
			config: { team_id: vercel.teamId, preview_branches: true, webhook_error: null, hook_note: null },
		});
		expect(job).toMatchObject({ type: "integration.sync_env", state: "completed" });
		expect(job.last_stdout).toContain("pushed 2 variables");
		const { pooled_url, direct_url } = await connections(server, tenant);
		expect(project.variables).toMatchObject([
			{ key: "DATABASE_URL", value: pooled_url, type: "sensitive", target: ["production"] },
			{ key: "DATABASE_URL_UNPOOLED", value: direct_url, type: "sensitive", target: ["production"] },
		]);
		const [hook] = [...vercel.hooks.values()];
		expect(vercel.hooks.size).toBe(1);
		expect(hook?.url).toMatch(
			new RegExp(`^${server.url}/v1/integrations/vercel/webhook/${tenant.projectId}/[\\w-]{27,}$`),
		);
		await disconnect(site);
		expect(project.variables).toEqual([]);
		expect(vercel.hooks.size).toBe(0);
		expect(await server.sql("select 1 from pushed_variables")).toEqual([]);
		expect(await eventTypes(server)).toEqual(
			expect.arrayContaining(["integration.connected", "integration.disconnected"]),
		);
	});

	it("keeps neither the path token nor the hook's secret in the clear", async () => {
		const site = await startVercelServer();
		await connectVercel(site, { preview_branches: true });
		const [hook] = [...site.vercel.hooks.values()];
		const token = hook?.url.split("/").at(-1) ?? "";
		const rows = await site.server.sql<{ row: string }>("select i::text as row from integrations i");
		expect(rows).toHaveLength(1);
		for (const secret of [token, hook?.secret ?? "", site.token]) {
			expect(secret).not.toBe("");
			expect(rows[0]?.row).not.toContain(secret);
		}
	});

	it("saves nothing when Vercel refuses the token or does not show it the project", async () => {
		const site = await startVercelServer();
		const wrongToken = await askConnectVercel(site, { token: "vct_wrong" });
		expect(wrongToken.status).toBe(400);
		expect(wrongToken.body).toMatchObject({ code: "provider.forbidden" });
		expect(wrongToken.body.error).toContain("status 40");
		const wrongProject = await askConnectVercel(site, { vercel_project_id: "prj_none" });
		expect(wrongProject.status).toBe(400);
		expect(wrongProject.body.code).toBe("provider.not_found");
		const noToken = await askConnectVercel(site, { token: undefined });
		expect(noToken.status).toBe(400);
		expect(noToken.body.error).toContain("`token`");
		site.vercel.failNext(503);
		expect((await askConnectVercel(site)).status).toBe(502);
		expect(await site.server.sql("select 1 from integrations")).toEqual([]);
	});

	it("succeeds without a hook when Vercel refuses one, and says why in config.webhook_error", async () => {
		const site = await startVercelServer();
		const token = site.vercel.addToken({ projectId: site.project.id });
		const { integration, job } = await connectVercel(site, { token, preview_branches: true });
		expect(integration.state).toBe("active");
		expect(integration.config.webhook_error).toContain("token for the whole team");
		expect(job.state).toBe("completed");
	});

	it("replaces token and target when it is done again, without a second hook or variable", async () => {
		const site = await startVercelServer();
		await connectVercel(site, { preview_branches: true });
		const [first] = [...site.vercel.hooks.values()];
		const other = site.vercel.addProject({ name: "shop" });
		const same = await connectVercel(site, { preview_branches: true });
		expect([...site.vercel.hooks.values()].map(({ id }) => id)).toEqual([first?.id]);
		expect(site.project.variables).toHaveLength(2);
		const token = site.vercel.addToken();
		const moved = await connectVercel(site, { preview_branches: true, vercel_project_id: "shop", token });
		expect(moved.integration.id).toBe(same.integration.id);
		expect(moved.integration.external_id).toBe(other.id);
		expect(other.variables).toHaveLength(2);
		expect(site.project.variables).toEqual([]);
		const hooks = [...site.vercel.hooks.values()];
		expect(hooks.map(({ projectIds }) => projectIds)).toEqual([[other.id]]);
	});

	it("takes over a variable of that name, says so, and leaves one that was changed since", async () => {
		const site = await startVercelServer();
		site.vercel.addVariable(site.project, { key: "DATABASE_URL" });
		const { job } = await connectVercel(site);
		expect(job.last_stdout).toContain("took over DATABASE_URL, which stood there before");
		expect(site.project.variables).toHaveLength(2);
		site.vercel.changeVariable(site.project, "DATABASE_URL", "theirs");
		await disconnect(site);
		expect(site.project.variables).toMatchObject([{ key: "DATABASE_URL", value: "theirs" }]);
	});

	it("reads once and writes nothing when a push finds everything as it left it", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		const from = site.vercel.requests.length;
		const path = platformPath(site.tenant, "vercel", "sync");
		expect((await site.server.call("POST", path, { key: site.tenant.key })).status).toBe(202);
		const job = await newestJob(site.server, site.tenant, "integration.sync_env");
		expect(job.last_stdout).toContain("pushed 0 variables");
		expect(site.vercel.requests.slice(from).map(({ method }) => method)).toEqual(["GET"]);
	});

	it("goes into the state error when the token is revoked, and a new one heals it", async () => {
		const site = await startVercelServer();
		const { server, tenant } = site;
		await connectVercel(site);
		site.vercel.revokeToken(site.token);
		await server.call("POST", `/v1/projects/${tenant.projectId}/credentials/rotate`, {
			key: tenant.key,
			body: {},
		});
		const failed = await until(async () => {
			const integration = await getIntegration(server, tenant);
			return integration.state === "error" ? integration : null;
		});
		expect(failed.config.last_error).toContain("Vercel");
		expect(await eventTypes(server)).toContain("integration.error");
		const { integration, job } = await connectVercel(site, { token: site.vercel.addToken() });
		expect(job.state).toBe("completed");
		expect(integration.state).toBe("active");
		const { pooled_url } = await connections(server, tenant);
		expect(site.project.variables).toMatchObject([{ value: pooled_url }, {}]);
	});

	it("pushes again after a rotation", async () => {
		const site = await startVercelServer();
		const { server, tenant } = site;
		await connectVercel(site);
		const before = site.project.variables.map(({ value }) => value);
		await server.call("POST", `/v1/projects/${tenant.projectId}/credentials/rotate`, {
			key: tenant.key,
			body: {},
		});
		await until(() => site.project.variables.every(({ value }) => !before.includes(value)));
		const { pooled_url, direct_url } = await connections(server, tenant);
		expect(site.project.variables.map(({ value }) => value)).toEqual([pooled_url, direct_url]);
	});

	it("is asked to sync once at a time, and a rotation meanwhile queues exactly one push more", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel } = site;
		const { key, projectId } = tenant;
		const path = platformPath(tenant, "vercel", "sync");
		expect((await server.call("POST", path, { key })).status).toBe(404);
		await connectVercel(site);
		const held = vercel.holdNext(/^GET .*\/env$/);
		expect((await server.call("POST", path, { key })).status).toBe(202);
		await held.arrived;
		expect((await server.call("POST", path, { key })).status).toBe(409);
		for (let rotation = 0; rotation < 2; rotation++) {
			const rotate = `/v1/projects/${projectId}/credentials/rotate`;
			const { body } = await server.call("POST", rotate, { key, body: {} });
			expect((await endedJob(server, tenant, body.job.id)).state).toBe("completed");
		}
		const pushes = await jobsOf(server, tenant, "integration.sync_env");
		expect(pushes.map(({ state }) => state)).toEqual(["pending", "running", "completed"]);
		held.release();
		expect((await newestJob(server, tenant, "integration.sync_env")).state).toBe("completed");
		const { pooled_url, direct_url } = await connections(server, tenant);
		expect(site.project.variables.map(({ value }) => value)).toEqual([pooled_url, direct_url]);
		expect(await jobsOf(server, tenant, "integration.sync_env")).toHaveLength(3);
	});

	it("lists what the token can see", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		const path = platformPath(site.tenant, "vercel", "resources");
		const { status, body } = await site.server.call("GET", path, { key: site.tenant.key });
		expect(status).toBe(200);
		expect(body.resources).toContainEqual({
			id: site.project.id,
			name: "web",
			team_id: site.vercel.teamId,
			team_name: expect.any(String),
		});
	});
});

describe("connecting a project to Netlify", () => {
	it("pushes both URLs and registers its hooks; disconnecting leaves the site as it was", async () => {
		const site = await startNetlifyServer();
		const { server, netlify, tenant } = site;
		const { integration, job } = await connectNetlify(site, { preview_branches: true });
		expect(job.state).toBe("completed");
		expect(integration).toMatchObject({
			state: "active",
			external_id: netlify.site.id,
			config: { hook_error: null, preview_branches: true },
		});
		const { pooled_url } = await connections(server, tenant);
		expect(netlify.values("DATABASE_URL")).toMatchObject({ production: pooled_url });
		expect(netlify.hooks.size).toBe(4);
		const from = netlify.writes().length;
		await server.call("POST", platformPath(tenant, "netlify", "sync"), { key: tenant.key });
		await newestJob(server, tenant, "integration.sync_env");
		expect(netlify.writes().slice(from)).toEqual([]);
		await server.call("DELETE", platformPath(tenant, "netlify"), { key: tenant.key });
		const done = await newestJob(server, tenant, "integration.disconnect");
		expect(done.last_stdout).toContain("removed 2 variables");
		expect(netlify.hooks.size).toBe(0);
		expect(netlify.values("DATABASE_URL")).toBeNull();
	});
});

async function disconnect({ server, tenant }: Awaited<ReturnType<typeof startVercelServer>>) {
	const path = platformPath(tenant, "vercel");
	expect((await server.call("DELETE", path, { key: tenant.key })).body).toEqual({ deleted: true });
	expect(await getIntegration(server, tenant)).toBeNull();
	const job = await newestJob(server, tenant, "integration.disconnect");
	expect(job.state).toBe("completed");
}
