import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import { endedJob, getIntegration } from "./clerk-server.ts";
import {
	askConnectVercel,
	connectVercel,
	newestJob,
	platformPath,
	startVercelServer,
} from "./platform-server.ts";

describe("a platform that does not answer", () => {
	it("is given ten seconds to check the token, and nothing is saved", async () => {
		const site = await startVercelServer();
		const { release } = site.vercel.holdNext(/^GET \/v9\/projects\//);
		const startedAt = performance.now();
		const { status, body } = await askConnectVercel(site);
		expect(performance.now() - startedAt).toBeLessThan(30_000);
		expect([status, body.code]).toEqual([502, "provider.unavailable"]);
		expect(await site.server.sql("select 1 from integrations")).toEqual([]);
		release();
	});

	it("does not hold up connecting for its hook, which is made when it answers again", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel } = site;
		const { release } = vercel.holdNext(/^POST \/v1\/webhooks$/);
		const startedAt = performance.now();
		const { status, body } = await askConnectVercel(site, { preview_branches: true });
		expect(performance.now() - startedAt).toBeLessThan(40_000);
		expect(status).toBe(201);
		expect(body.integration).toMatchObject({ state: "active" });
		expect(body.integration.config.webhook_error).toBe("Vercel did not answer in time.");
		release();
		const mended = await until(async () => {
			const integration = await getIntegration(server, tenant);
			return integration.config.webhook_error === null ? integration : null;
		});
		expect(mended.state).toBe("active");
		await until(() => vercel.hooks.size === 1, { what: "no hook but the one that counts" });
	});

	it("breaks off a push, which goes on with what is missing", async () => {
		const site = await startVercelServer();
		const { project, vercel } = site;
		vercel.dropNext({ afterWork: true, matches: /^POST .*\/env$/ });
		const { job } = await connectVercel(site);
		expect(job).toMatchObject({ state: "completed", attempts: 2 });
		expect(project.variables.map(({ key }) => key)).toEqual(["DATABASE_URL", "DATABASE_URL_UNPOOLED"]);
	});
});

describe("a platform that takes only some of the variables", () => {
	it("fails the push with a sentence, and the next one writes those that are missing", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		vercel.failVariable("ENV_LIMIT", "DATABASE_URL_UNPOOLED");
		const { body } = await askConnectVercel(site);
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(job.error).toContain("DATABASE_URL_UNPOOLED");
		expect(await getIntegration(server, tenant)).toMatchObject({
			state: "error",
			config: { last_error: job.error },
		});
		await server.call("POST", platformPath(tenant, "vercel", "sync"), { key: tenant.key });
		expect((await newestJob(server, tenant, "integration.sync_env")).state).toBe("completed");
		expect(project.variables).toHaveLength(2);
		expect(await getIntegration(server, tenant)).toMatchObject({ state: "active" });
	});
});
