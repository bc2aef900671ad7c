import { describe, expect, it } from "vitest";
import { reconcileDue } from "../../src/integrations/platforms/reconcile-due.ts";
import type { DatabaseClock } from "../../src/platform/database-clock.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { endedJob } from "./clerk-server.ts";
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

const hourMs = 3_600_000;

describe("disconnecting a platform", () => {
	it("comes first when its project is deleted", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		await connectVercel(site, { preview_branches: true });
		const { body } = await server.call("DELETE", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
		expect((await endedJob(server, tenant, body.job.id)).state).toBe("completed");
		await until(() => vercel.hooks.size === 0 && project.variables.length === 0);
		await until(async () => (await server.sql("select 1 from integrations")).length === 0);
	});

	it("erases the credentials although a revoked token cannot clean up, and says what stays", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel } = site;
		await connectVercel(site, { preview_branches: true });
		vercel.revokeToken(site.token);
		await server.call("DELETE", platformPath(tenant, "vercel"), { key: tenant.key });
		const job = await newestJob(server, tenant, "integration.disconnect");
		expect(job.state).toBe("completed");
		expect(job.last_stdout).toContain("could not remove the webhook, which stays at Vercel");
		expect(job.last_stdout).toContain("could not remove the variables");
		expect(await server.sql("select 1 from integrations")).toEqual([]);
		expect(await eventTypes(server)).toContain("integration.disconnected");
	});

	it("is tried again by the hour while the platform is down, and given up after a week", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		await connectVercel(site);
		await giveOneAttempt(server);
		vercel.failNext(503, { times: 1_000 });
		await server.call("DELETE", platformPath(tenant, "vercel"), { key: tenant.key });
		expect((await newestJob(server, tenant, "integration.disconnect")).state).toBe("failed");
		expect(await server.sql("select 1 from integrations where credentials is not null")).toHaveLength(1);
		await server.advance(0.5 * hourMs);
		await reconcileDue(server.ctx);
		expect(await jobsOf(server, tenant, "integration.disconnect")).toHaveLength(1);
		await server.advance(0.6 * hourMs);
		await reconcileDue(server.ctx);
		await reconcileDue(server.ctx);
		expect(await jobsOf(server, tenant, "integration.disconnect")).toHaveLength(2);
		expect((await newestJob(server, tenant, "integration.disconnect")).state).toBe("failed");
		await server.advance(8 * 24 * hourMs);
		await (server.ctx.clock as DatabaseClock).sync();
		await reconcileDue(server.ctx);
		const last = await newestJob(server, tenant, "integration.disconnect");
		expect(last.state).toBe("completed");
		expect(last.last_stdout).toContain("could not remove the variables");
		expect(await server.sql("select 1 from integrations")).toEqual([]);
		expect(project.variables).toHaveLength(2);
	});

	it("sees a hook that a connect call was still making", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		const held = vercel.holdNext(/^POST \/v1\/webhooks$/, { afterWork: true });
		const connecting = askConnectVercel(site, { preview_branches: true });
		await held.arrived;
		expect(vercel.hooks.size).toBe(1);
		await server.call("DELETE", platformPath(tenant, "vercel"), { key: tenant.key });
		held.release();
		await connecting;
		expect((await newestJob(server, tenant, "integration.disconnect")).state).toBe("completed");
		expect(vercel.hooks.size).toBe(0);
		expect(project.variables).toEqual([]);
	});

	it("leaves what a newer integration of the project uses", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		await connectVercel(site, { preview_branches: true });
		const held = vercel.holdNext(/^GET \/v1\/webhooks$/);
		await server.call("DELETE", platformPath(tenant, "vercel"), { key: tenant.key });
		await held.arrived;
		const connecting = askConnectVercel(site, { preview_branches: true });
		held.release();
		const { body } = await connecting;
		expect((await endedJob(server, tenant, body.job.id)).state).toBe("completed");
		expect((await newestJob(server, tenant, "integration.disconnect")).state).toBe("completed");
		await until(() => vercel.hooks.size === 1 && project.variables.length === 2);
		const { pooled_url, direct_url } = await connections(server, tenant);
		expect(project.variables.map(({ value }) => value)).toEqual([pooled_url, direct_url]);
	});

	it("leaves Netlify's variables of other people and other contexts alone", async () => {
		const site = await startNetlifyServer();
		const { server, tenant, netlify } = site;
		const before = structuredClone([...netlify.variables]);
		await connectNetlify(site, { preview_branches: true });
		await server.call("DELETE", platformPath(tenant, "netlify"), { key: tenant.key });
		expect((await newestJob(server, tenant, "integration.disconnect")).state).toBe("completed");
		const left = [...netlify.variables].filter(([, byKey]) => byKey.size > 0);
		expect(left).toEqual(before.filter(([, byKey]) => byKey.size > 0));
	});
});

/** A job's first attempt is its last from now on: those after it come only minutes later. */
async function giveOneAttempt(server: TestServer): Promise<void> {
	await server.sql(`create function one_attempt() returns trigger language plpgsql
		as 'begin new.max_attempts := 1; return new; end'`);
	await server.sql("create trigger one before insert on jobs for each row execute function one_attempt()");
}
