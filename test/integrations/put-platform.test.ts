import { randomBytes } from "node:crypto";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { startFakeVercel } from "../fakes/vercel.ts";
import { asSuperuser } from "../projects/project-databases.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { getIntegration } from "./clerk-server.ts";
import { connectVercel, platformPath, startVercelServer, type VercelServer } from "./platform-server.ts";

describe("changing the integration with a platform", () => {
	it("brings another prefix to the platform, and takes away what stood under the former", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		const answer = await put(site, { config: { env_prefix: "APP_" } });
		expect(answer.body.integration).toMatchObject({ state: "active", config: { env_prefix: "APP_" } });
		await until(() => site.project.variables.every(({ key }) => key.startsWith("APP_")));
		expect(site.project.variables.map(({ key }) => key)).toEqual([
			"APP_DATABASE_URL",
			"APP_DATABASE_URL_UNPOOLED",
		]);
	});

	it("keeps the project's own URLs out of every preview once branches have databases of their own", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		expect(site.project.variables[0]?.target).toEqual(["production", "preview"]);
		await put(site, { config: { preview_branches: true } });
		await until(() => site.project.variables.every(({ target }) => target.join() === "production"));
		expect(site.vercel.hooks.size).toBe(1);
		await put(site, { config: { preview_branches: false } });
		await until(() => site.project.variables.every(({ target }) => target.length === 2));
		await until(() => site.vercel.hooks.size === 0);
	});

	it("checks a new token and a new target first, and keeps both when Vercel refuses", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		expect((await put(site, { credentials: { token: "vct_wrong" } })).status).toBe(400);
		expect((await put(site, { external_id: "prj_none" })).status).toBe(400);
		const unnamed = await put(site, { external_id: null });
		expect([unnamed.status, unnamed.body.code]).toEqual([400, "external_id.invalid"]);
		expect((await put(site, { config: { env_targets: ["nowhere"] } })).status).toBe(400);
		const { external_id, state } = await getIntegration(site.server, site.tenant);
		expect([external_id, state]).toEqual([site.project.id, "active"]);
		const other = site.vercel.addProject({ name: "shop" });
		expect((await put(site, { external_id: "shop" })).body.integration.external_id).toBe(other.id);
		await until(() => other.variables.length === 2 && site.project.variables.length === 0);
	});

	it("is pending until there are a token and a target, whichever comes first", async () => {
		const site = await startVercelServer();
		const first = await put(site, { credentials: { token: site.token } });
		expect(first.body.integration).toMatchObject({
			state: "pending",
			has_credentials: true,
			external_id: null,
		});
		const sync = await site.server.call("POST", platformPath(site.tenant, "vercel", "sync"), {
			key: site.tenant.key,
		});
		expect([sync.status, sync.body.code]).toEqual([400, "integration.no_target"]);
		const body = { external_id: site.project.id, config: { team_id: site.vercel.teamId } };
		expect((await put(site, body)).body.integration.state).toBe("active");
		await until(() => site.project.variables.length === 2);
	});

	it("touches nothing while it is disabled, and catches up when it is active again", async () => {
		const site = await startVercelServer();
		const { server, tenant, project } = site;
		await connectVercel(site);
		await put(site, { state: "disabled" });
		const before = project.variables.map(({ value }) => value);
		const rotate = `/v1/projects/${tenant.projectId}/credentials/rotate`;
		const { body } = await server.call("POST", rotate, { key: tenant.key, body: {} });
		await until(async () => {
			const answer = await server.call("GET", `/v1/jobs/${body.job.id}`, { key: tenant.key });
			return answer.body.job.state === "completed";
		});
		expect(project.variables.map(({ value }) => value)).toEqual(before);
		await put(site, { state: "active" });
		await until(() => project.variables.every(({ value }) => !before.includes(value)));
	});
});

describe("changed URLs of a project that brings its own Postgres", () => {
	it("are pushed to its platform", async () => {
		const vercel = await startFakeVercel();
		onTestFinished(() => vercel.close());
		const server = await startTestServer({
			env: { VERCEL_API_URL: vercel.origin, PROJECT_DB_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8" },
		});
		const { key, ...tenant } = await server.tenant();
		const name = `byo_${randomBytes(5).toString("hex")}`;
		await asSuperuser(`create role ${name} login password 'pw'`, `create database ${name} owner ${name}`);
		onTestFinished(async () => {
			await asSuperuser(`drop database if exists ${name} with (force)`, `drop role if exists ${name}`);
		});
		const url = `postgres://${name}:pw@127.0.0.1:${new URL(inject("clusterUrl")).port}/${name}`;
		const { body } = await server.call("POST", "/v1/projects", { key, body: { name, database_url: url } });
		const projectId = body.project.id;
		const project = vercel.addProject();
		const site = { server, vercel, project, token: vercel.addToken(), tenant: { ...tenant, projectId, key } };
		await connectVercel(site);
		expect(project.variables.map(({ value }) => value)).toEqual([url, url]);
		const changed = `${url}?application_name=web`;
		await server.call("PATCH", `/v1/projects/${projectId}`, { key, body: { database_url: changed } });
		await until(() => project.variables.every(({ value }) => value === changed));
	});
});

function put({ server, tenant }: VercelServer, body: Record<string, unknown>) {
	return server.call("PUT", platformPath(tenant, "vercel"), { key: tenant.key, body });
}
