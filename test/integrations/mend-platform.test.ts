import { describe, expect, it } from "vitest";
import type { IntegrationId } from "../../src/core/ids.ts";
import { reconcileDue } from "../../src/integrations/platforms/reconcile-due.ts";
import { reconcilePlatform } from "../../src/integrations/platforms/reconcile-platform.ts";
import type { Deployment } from "../../src/providers/deployment-provider.ts";
import type { TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { getIntegration } from "./clerk-server.ts";
import {
	connectNetlify,
	connectVercel,
	eventTypes,
	platformPath,
	startNetlifyServer,
	startVercelServer,
} from "./platform-server.ts";

const hourMs = 3_600_000;

describe("the scheduled reconciliation", () => {
	it("makes a hook again that was deleted at Vercel, with a new path token", async () => {
		const site = await startVercelServer();
		await connectVercel(site, { preview_branches: true });
		const [lost] = [...site.vercel.hooks.values()];
		site.vercel.dropHook(lost?.id ?? "");
		await reconcile(site.server);
		const made = await until(() => [...site.vercel.hooks.values()][0]);
		expect(made.projectIds).toEqual([site.project.id]);
		expect(made.url).not.toBe(lost?.url);
	});

	it("enables hooks again that Netlify disabled, and keeps their number", async () => {
		const { server, netlify, ...site } = await startNetlifyServer();
		await connectNetlify({ server, netlify, ...site }, { preview_branches: true });
		const [first, second] = [...netlify.hooks.keys()];
		netlify.disableHook(first ?? "");
		netlify.dropHook(second ?? "");
		await reconcile(server);
		await until(
			() => netlify.hooks.size === 4 && [...netlify.hooks.values()].every((hook) => !hook.disabled),
		);
	});

	it("writes variables again that were changed or deleted at the platform", async () => {
		const site = await startVercelServer();
		await connectVercel(site);
		const before = site.project.variables.map(({ key, value }) => ({ key, value }));
		site.vercel.changeVariable(site.project, "DATABASE_URL", "theirs");
		site.project.variables.splice(1, 1);
		await reconcile(site.server);
		await until(() => site.project.variables.length === 2 && site.project.variables[0]?.value !== "theirs");
		expect(site.project.variables.map(({ key, value }) => ({ key, value }))).toEqual(before);
	});

	it("looks once an hour, and leaves alone what is disabled", async () => {
		const site = await startVercelServer();
		const { server, vercel, tenant } = site;
		await connectVercel(site);
		const from = vercel.requests.length;
		await reconcileDue(server.ctx);
		await reconcile(server);
		await until(() => vercel.requests.length > from);
		const path = platformPath(tenant, "vercel");
		await server.call("PUT", path, { key: tenant.key, body: { state: "disabled" } });
		const later = vercel.requests.length;
		await server.advance(2 * hourMs);
		const due = await server.ctx.stores.integrations.listUnreconciled(["vercel"], 3600, 10);
		expect(due).toEqual([]);
		expect(vercel.requests).toHaveLength(later);
		expect(vercel.requests.slice(from).map(({ method }) => method)).toEqual(["GET"]);
	});

	it("puts an integration into the state error when its token was revoked, and heals it when it works again", async () => {
		const site = await startVercelServer();
		const { server, vercel, tenant } = site;
		await connectVercel(site);
		vercel.revokeToken(site.token);
		await reconcile(server);
		const failed = await until(async () => {
			const integration = await getIntegration(server, tenant);
			return integration.state === "error" ? integration : null;
		});
		expect(failed.config.last_error).toContain("Vercel");
		expect(await eventTypes(server)).toContain("integration.error");
		vercel.addToken({ token: site.token });
		await reconcile(server);
		const healed = await until(async () => {
			const integration = await getIntegration(server, tenant);
			return integration.state === "active" ? integration : null;
		});
		expect(healed.config.last_error).toBeNull();
	});

	it("blames nobody while the platform is down, and is tried again", async () => {
		const site = await startVercelServer();
		const { server, vercel, tenant } = site;
		const { integration } = await connectVercel(site);
		vercel.failNext(503, { times: 100 });
		const mend = reconcilePlatform({ recordDeployments: async () => undefined });
		const input = { integrationId: integration.id as IntegrationId, signal: AbortSignal.timeout(20_000) };
		await expect(mend(server.ctx, input)).rejects.toMatchObject({ reason: "unavailable" });
		expect(await getIntegration(server, tenant)).toMatchObject({
			state: "active",
			config: { last_error: null },
		});
	});

	it("hands on the deployments since the last look, so that none whose event never came is missed", async () => {
		const site = await startVercelServer();
		const { server, vercel, project } = site;
		const { integration } = await connectVercel(site, { preview_branches: true });
		const seen: Deployment[] = [];
		const mend = reconcilePlatform({
			recordDeployments: async (_ctx, { deployments }) => void seen.push(...deployments),
		});
		vercel.limitDeploymentPages(2);
		const made = [1, 2, 3, 4, 5].map((n) => vercel.deploy(project, { branch: `b${n}` }).deployment.id);
		const input = { integrationId: integration.id as IntegrationId, signal: AbortSignal.timeout(20_000) };
		await mend(server.ctx, input);
		expect(seen.map(({ id }) => id).sort()).toEqual([...made].sort());
	});
});

describe("deployments from before branches were asked to have databases", () => {
	it("are not made up for, be it at connecting, later by PUT, or after weeks", async () => {
		const site = await startVercelServer();
		const { server, vercel, project, tenant } = site;
		const { integration } = await connectVercel(site);
		const seen: (string | null)[] = [];
		const mend = reconcilePlatform({
			recordDeployments: async (_ctx, { deployments }) =>
				void seen.push(...deployments.map(({ branch }) => branch)),
		});
		const input = { integrationId: integration.id as IntegrationId, signal: AbortSignal.timeout(20_000) };
		const { deployment } = vercel.deploy(project, { branch: "long ago" });
		deployment.createdAt -= 20 * 24 * hourMs;
		await server.sql("update integrations set created_at = created_at - interval '30 days'");
		await mend(server.ctx, input);
		const body = { config: { preview_branches: true } };
		await server.call("PUT", platformPath(tenant, "vercel"), { key: tenant.key, body });
		await mend(server.ctx, input);
		await connectVercel(site, { preview_branches: false });
		await connectVercel(site, { preview_branches: true });
		await mend(server.ctx, input);
		const weeksAgo = { deploymentsReadAt: new Date(Date.now() - 30 * 24 * hourMs).toISOString() };
		await server.ctx.stores.integrations.report(input.integrationId, { set: weeksAgo });
		await mend(server.ctx, input);
		expect(seen).toEqual([]);
	});
});

/** An hour and a bit later the schedule asks. */
async function reconcile(server: TestServer): Promise<void> {
	await server.advance(1.1 * hourMs);
	await reconcileDue(server.ctx);
}
