import { describe, expect, it } from "vitest";
import { idle } from "../deployments/vercel-server.ts";
import { signBody, signedDelivery } from "../fakes/netlify/hooks.ts";
import type { FakeNetlify } from "../fakes/netlify.ts";
import { netlifyDeploy } from "../fixtures/netlify/deploys.ts";
import { getIntegration } from "../integrations/clerk-server.ts";
import {
	connectNetlify,
	type NetlifyServer,
	platformPath,
	startNetlifyServer,
} from "../integrations/platform-server.ts";
import { asCustomer } from "../projects/project-databases.ts";
import { until } from "../support/until.ts";

type Hook = FakeNetlify["hooks"] extends Map<string, infer One> ? One : never;

function hookFor({ netlify }: NetlifyServer, event: string): Hook {
	const hook = [...netlify.hooks.values()].find((each) => each.event === event);
	if (!hook) throw new Error(`There is no hook for ${event}.`);
	return hook;
}

async function post(
	url: string,
	message: { headers: Record<string, string>; body: string },
): Promise<number> {
	const response = await fetch(url, { method: "POST", ...message });
	await response.arrayBuffer();
	return response.status;
}

async function deployments({ server, tenant }: NetlifyServer) {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/deployments`, {
		key: tenant.key,
	});
	return body.deployments as Record<string, unknown>[];
}

const now = () => new Date().toISOString();

describe("POST /v1/integrations/netlify/webhook/{projectID}/{token}", () => {
	it("answers each fault with what keeps the hook alive: 401 for what is not ours, 404 for no project alone", async () => {
		const site = await startNetlifyServer();
		await connectNetlify(site, { preview_branches: true });
		const { url, data } = {
			...hookFor(site, "deploy_building"),
			url: hookFor(site, "deploy_building").data.url,
		};
		const secret = data.signature_secret ?? "";
		const deploy = netlifyDeploy({ site_id: site.netlify.site.id, updated_at: now() });
		const good = signedDelivery("deploy_building", deploy, secret);
		const unsigned = signedDelivery("deploy_building", deploy);
		const forged = (change: Parameters<typeof signBody>[2]) => ({
			...good,
			headers: { ...good.headers, "x-webhook-signature": signBody(good.body, secret, change) },
		});
		expect(await post(url.replace(/prj_[^/]+/, "prj_01jd0000000000000000000000"), good)).toBe(404);
		expect(await post(url.replace("?event=", "x?event="), good)).toBe(401);
		expect(await post(url, unsigned)).toBe(401);
		expect(await post(url, signedDelivery("deploy_building", deploy, "another secret"))).toBe(401);
		expect(await post(url, forged({ claims: { iss: "someone" } }))).toBe(401);
		expect(await post(url, forged({ header: { alg: "none" } }))).toBe(401);
		expect(await post(url, { ...good, body: good.body.replace("beaver", "otter") })).toBe(401);
		expect(await post(url, signedDelivery("deploy_building", { nothing: true }, secret))).toBe(400);
		expect(await deployments(site)).toEqual([]);
		expect(await post(url, good)).toBe(200);
		await site.server.call("DELETE", platformPath(site.tenant, "netlify"), { key: site.tenant.key });
		expect(await post(url, good)).toBe(401);
	});

	it("believes the signed body and not the event's name, which anyone could change", async () => {
		const site = await startNetlifyServer();
		await connectNetlify(site, { preview_branches: true });
		const { data } = hookFor(site, "deploy_failed");
		const deploy = netlifyDeploy({ site_id: site.netlify.site.id, state: "ready", updated_at: now() });
		expect(await post(data.url, signedDelivery("deploy_building", deploy, data.signature_secret))).toBe(200);
		await idle(site);
		expect(await deployments(site)).toMatchObject([{ external_id: deploy.id, state: "ready" }]);
	});

	it("takes the path token alone where Netlify was seen to keep no secret, and says so", async () => {
		const site = await startNetlifyServer();
		site.netlify.quirks.hooksKeepSecret = false;
		await connectNetlify(site, { preview_branches: true });
		const { config } = await getIntegration(site.server, site.tenant);
		expect(config.hook_note).toMatch(/sign/);
		const deploy = netlifyDeploy({ site_id: site.netlify.site.id, updated_at: now() });
		expect(
			await post(hookFor(site, "deploy_building").data.url, signedDelivery("deploy_building", deploy)),
		).toBe(200);
		await idle(site);
		expect(await deployments(site)).toMatchObject([{ state: "building", is_preview: false }]);
	});

	it("gives the branch of a deploy preview its own database and values, whatever order its events come in", async () => {
		const site = await startNetlifyServer();
		const { server, netlify, tenant } = site;
		await connectNetlify(site, { preview_branches: true });
		const held = netlify.holdDeliveries();
		const { id } = netlify.report({ branch: "checkout", context: "branch-deploy", state: "building" });
		await until(() => new Date().toISOString() > (netlify.deploys[0]?.updated_at ?? ""));
		netlify.report({ id, state: "ready" });
		await held.release("reversed", 2);
		const value = () => netlify.values("DATABASE_URL")?.["branch:checkout"];
		const url = await until(value);
		expect(await asCustomer(url, "select 1 as one")).toEqual([{ one: 1 }]);
		await idle(site);
		const row = (await deployments(site)).find(({ external_id }) => external_id === id);
		expect(row).toMatchObject({ state: "ready", branch: "checkout", is_preview: true, last_error: null });
		expect(netlify.deliveries.every(({ status }) => status === 200)).toBe(true);
		expect(netlify.writes().filter((line) => line.endsWith("/retry"))).toHaveLength(1);
		const production = netlify.values("DATABASE_URL")?.production;
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/connections`, {
			key: tenant.key,
		});
		expect(production).toBe(body.connections.pooled_url);
	});
});
