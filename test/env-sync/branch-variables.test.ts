import { describe, expect, it } from "vitest";
import type { IntegrationId } from "../../src/core/ids.ts";
import { pushBranchVariables } from "../../src/env-sync/push-branch-variables.ts";
import { removeBranchVariables } from "../../src/env-sync/remove-branch-variables.ts";
import {
	connectNetlify,
	connectVercel,
	newestJob,
	platformPath,
	startNetlifyServer,
	startVercelServer,
	type VercelServer,
} from "../integrations/platform-server.ts";

const connections = {
	pooledUrl: "postgres://pooled.test/branch",
	directUrl: "postgres://direct.test/branch",
};

describe("the variables of a branch", () => {
	it("stand at Vercel for that branch alone, beside the project's own, and are written once", async () => {
		const site = await startVercelServer();
		const { integration } = await connectVercel(site, { preview_branches: true });
		const own = structuredClone(site.project.variables);
		const input = { integrationId: integration.id as IntegrationId, branch: "feature/x", connections };
		const first = await pushBranchVariables(site.server.ctx, input);
		expect(first).toEqual({ written: 2, isFirst: true });
		expect(ofBranch(site, "feature/x")).toMatchObject([
			{ key: "DATABASE_URL", value: connections.pooledUrl, target: ["preview"], type: "sensitive" },
			{ key: "DATABASE_URL_UNPOOLED", value: connections.directUrl, target: ["preview"], type: "sensitive" },
		]);
		const from = site.vercel.requests.length;
		expect(await pushBranchVariables(site.server.ctx, input)).toEqual({ written: 0, isFirst: false });
		expect(site.vercel.requests.slice(from).map(({ method }) => method)).toEqual(["GET"]);
		expect(site.project.variables.filter(({ gitBranch }) => gitBranch === undefined)).toEqual(own);
	});

	it("go with their branch, and those of other branches and the project stay", async () => {
		const site = await startVercelServer();
		const { integration } = await connectVercel(site, { preview_branches: true });
		const integrationId = integration.id as IntegrationId;
		for (const branch of ["one", "two"]) {
			await pushBranchVariables(site.server.ctx, { integrationId, branch, connections });
		}
		const removed = await removeBranchVariables(site.server.ctx, { integrationId, branch: "one" });
		expect(removed).toEqual({ removed: 2, kept: 0 });
		expect(ofBranch(site, "one")).toEqual([]);
		expect(ofBranch(site, "two")).toHaveLength(2);
		expect(site.project.variables).toHaveLength(4);
		const again = await removeBranchVariables(site.server.ctx, { integrationId, branch: "one" });
		expect(again).toEqual({ removed: 0, kept: 0 });
	});

	it("stay when somebody changed them at the platform since", async () => {
		const site = await startVercelServer();
		const { integration } = await connectVercel(site, { preview_branches: true });
		const integrationId = integration.id as IntegrationId;
		await pushBranchVariables(site.server.ctx, { integrationId, branch: "one", connections });
		site.vercel.changeVariable(site.project, "DATABASE_URL", "theirs");
		const removed = await removeBranchVariables(site.server.ctx, { integrationId, branch: "one" });
		expect(removed).toEqual({ removed: 1, kept: 1 });
		expect(ofBranch(site, "one")).toMatchObject([{ key: "DATABASE_URL", value: "theirs" }]);
	});

	it("leave Netlify's values for other contexts as they are", async () => {
		const site = await startNetlifyServer();
		const { integration } = await connectNetlify(site, { preview_branches: true });
		const own = site.netlify.values("DATABASE_URL");
		const integrationId = integration.id as IntegrationId;
		await pushBranchVariables(site.server.ctx, { integrationId, branch: "one", connections });
		expect(site.netlify.values("DATABASE_URL")).toEqual({ ...own, "branch:one": connections.pooledUrl });
		await removeBranchVariables(site.server.ctx, { integrationId, branch: "one" });
		expect(site.netlify.values("DATABASE_URL")).toEqual(own);
	});

	it("that Vercel does not take, as those of a branch that is gone, keep nothing from being removed", async () => {
		const site = await startVercelServer();
		const { server, tenant, vercel, project } = site;
		const { integration } = await connectVercel(site, { preview_branches: true });
		const integrationId = integration.id as IntegrationId;
		const push = (branch: string) => pushBranchVariables(server.ctx, { integrationId, branch, connections });
		await push("one");
		await expect(push("x".repeat(251))).rejects.toMatchObject({ reason: "invalid_request" });
		vercel.dropNext({ afterWork: true, matches: /^POST .*\/env$/ });
		await expect(push("gone")).rejects.toMatchObject({ reason: "unavailable" });
		expect(ofBranch(site, "gone")).toHaveLength(2);
		vercel.failNext(400, { code: "bad_request", times: 2, matches: /^(POST|PATCH) .*\/env/ });
		await server.call("DELETE", platformPath(tenant, "vercel"), { key: tenant.key });
		expect(await newestJob(server, tenant, "integration.disconnect")).toMatchObject({ state: "completed" });
		expect(project.variables).toEqual([]);
	});

	it("are refused for an integration that was disconnected", async () => {
		const site = await startVercelServer();
		const { integration } = await connectVercel(site, { preview_branches: true });
		const { server, tenant } = site;
		await server.call("DELETE", `/v1/projects/${tenant.projectId}/integrations/vercel`, { key: tenant.key });
		const input = { integrationId: integration.id as IntegrationId, branch: "late", connections };
		await expect(pushBranchVariables(server.ctx, input)).rejects.toMatchObject({ kind: "conflict" });
		expect(ofBranch(site, "late")).toEqual([]);
	});
});

function ofBranch({ project }: VercelServer, branch: string) {
	return project.variables.filter(({ gitBranch }) => gitBranch === branch);
}
