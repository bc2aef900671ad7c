import { describe, expect, it } from "vitest";
import type {
	Deployment,
	DeploymentProvider,
	PlatformAccess,
} from "../../src/providers/deployment-provider.ts";
import { calls, databaseUrl, refusalOf, startVercelSite } from "./vercel-site.ts";

const longAgo = new Date(1_700_000_000_000);

describe("listing the deployments of a Vercel project", () => {
	it("gives each once, newest first, over all pages", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		fake.limitDeploymentPages(10);
		const ids = Array.from({ length: 35 }, () => fake.deploy(project, { branch: "x" }).deployment.id);
		const other = fake.addProject({ name: "other" });
		fake.deploy(other, { branch: "x" });
		const listed = await listAll(vercel, access, longAgo);
		expect(listed.map(({ id }) => id)).toEqual(ids.toReversed());
	});

	it("begins at the given moment, that moment included", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		fake.limitDeploymentPages(2);
		const made = Array.from({ length: 6 }, () => fake.deploy(project, { branch: "x" }).deployment);
		const since = new Date(made[3]?.createdAt ?? 0);
		const listed = await listAll(vercel, access, since);
		expect(listed.map(({ id }) => id)).toEqual(
			made
				.slice(3)
				.map(({ id }) => id)
				.toReversed(),
		);
	});

	it("says state, context, commit and addresses, and no e-mail address", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { deployment } = fake.deploy(project, { branch: "feature/x", pullRequest: 618 });
		fake.finish(deployment, "ready");
		const [listed] = await listAll(vercel, access, longAgo);
		expect(listed).toEqual({
			id: deployment.id,
			targetId: project.id,
			state: "ready",
			context: "preview",
			isPreview: true,
			isRedeploy: false,
			branch: "feature/x",
			commitSha: deployment.meta.githubCommitSha,
			commitMessage: "Change feature/x\n\nCo-authored-by: Bo <[e-mail]>",
			commitAuthor: "ada",
			pullRequest: 618,
			isFork: false,
			url: `https://web-${deployment.id.slice(-9)}-acme.vercel.app`,
			inspectUrl: `https://vercel.com/acme/web/${deployment.id.slice(4)}`,
			errorCode: null,
			createdAt: new Date(deployment.createdAt),
			occurredAt: new Date(deployment.finishedAt ?? 0),
		});
	});

	it("tells the states apart, and leaves out what was deleted", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const make = () => fake.deploy(project, { branch: "x" }).deployment;
		for (const outcome of ["ready", "error", "canceled"] as const) fake.finish(make(), outcome);
		for (const state of ["QUEUED", "BUILDING", "BLOCKED", "DELETED"] as const) make().state = state;
		fake.finish(fake.deploy(project, { branch: "main", target: "production" }).deployment, "promoted");
		const listed = await listAll(vercel, access, longAgo);
		expect(listed.map(({ state }) => state).toReversed()).toEqual([
			"ready",
			"failed",
			"canceled",
			"created",
			"building",
			"created",
			"promoted",
		]);
	});

	it("knows forks, production, staging, custom environments and uploads", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		fake.deploy(project, { branch: "x", isFork: true });
		fake.deploy(project, { branch: "main", target: "production" });
		fake.deploy(project, { branch: "next", target: "staging" });
		fake.deploy(project, { branch: "qa", customEnvironmentId: "env_qa" });
		fake.deploy(project, { branch: null });
		const listed = await listAll(vercel, access, longAgo);
		expect(
			listed.map(({ context, isPreview, isFork, branch }) => [context, isPreview, isFork, branch]),
		).toEqual([
			["preview", true, null, null],
			["custom", false, false, "qa"],
			["staging", false, false, "next"],
			["production", false, false, "main"],
			["preview", true, true, "x"],
		]);
	});

	it("does not turn round for ever on a list that does not advance", async () => {
		const { fake, vercel, access } = await startVercelSite();
		const page = { deployments: [{ uid: "dpl_1", state: "READY", createdAt: 1_800_000_000_000 }] };
		fake.garbageNext(JSON.stringify({ ...page, pagination: { next: 1_800_000_000_000 } }), { times: 2 });
		const { cursor } = await vercel.listDeployments(access, { since: longAgo, cursor: null });
		expect(cursor).toBe("1800000000000");
		const again = vercel.listDeployments(access, { since: longAgo, cursor });
		expect((await refusalOf(again)).reason).toBe("unexpected_answer");
	});
});

describe("one deployment at Vercel", () => {
	it("is the same as in the list, with the code of its failure", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { deployment } = fake.deploy(project, { branch: "x" });
		fake.finish(deployment, "error");
		const read = await vercel.readDeployment(access, deployment.id);
		const [listed] = await listAll(vercel, access, longAgo);
		expect(read).toEqual(listed);
		expect([read.state, read.errorCode]).toEqual(["failed", "BUILD_FAILED"]);
	});

	it("is not found when it is unknown, deleted, or another team's", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { deployment } = fake.deploy(project, { branch: "x" });
		deployment.state = "DELETED";
		expect((await refusalOf(vercel.readDeployment(access, deployment.id))).reason).toBe("not_found");
		expect((await refusalOf(vercel.readDeployment(access, "dpl_unknown"))).reason).toBe("not_found");
		const own = { ...access, target: { ...access.target, teamId: null } };
		expect((await refusalOf(vercel.readDeployment(own, deployment.id))).reason).toBe("not_found");
	});
});

describe("deploying again at Vercel", () => {
	it("builds the same commit with the variables as they are now, and marks it", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { deployment } = fake.deploy(project, { branch: "x" });
		expect(deployment.variables).toEqual({});
		await vercel.pushVariables(access, {
			desired: [databaseUrl("postgres://branch", { branch: "x", targets: [] })],
			owned: [],
		});
		const before = fake.requests.length;
		const { deploymentId } = await vercel.redeploy(access, { deploymentId: deployment.id, branch: "x" });
		expect(calls(fake, before)).toEqual([`GET /v13/deployments/${deployment.id}`, "POST /v13/deployments"]);
		expect(fake.deployments.get(deploymentId ?? "")?.variables).toEqual({
			DATABASE_URL: "postgres://branch",
		});
		const made = await vercel.readDeployment(access, deploymentId ?? "");
		expect([made.isRedeploy, made.branch, made.isPreview]).toEqual([true, "x", true]);
		expect(made.commitSha).toBe(deployment.meta.githubCommitSha);
	});

	it("keeps the target of a production deployment", async () => {
		const { fake, vercel, access, project } = await startVercelSite();
		const { deployment } = fake.deploy(project, { branch: "main", target: "production" });
		const { deploymentId } = await vercel.redeploy(access, { deploymentId: deployment.id, branch: "main" });
		expect(fake.deployments.get(deploymentId ?? "")?.target).toBe("production");
	});
});

async function listAll(
	vercel: DeploymentProvider,
	access: PlatformAccess,
	since: Date,
): Promise<Deployment[]> {
	const all: Deployment[] = [];
	let cursor: string | null = null;
	do {
		const page = await vercel.listDeployments(access, { since, cursor });
		all.push(...page.deployments);
		cursor = page.cursor;
	} while (cursor !== null);
	return all;
}
