import { describe, expect, it } from "vitest";
import type { IntegrationId } from "../../src/core/ids.ts";
import { previewNameOf } from "../../src/deployments/branch.ts";
import { sweepBranches } from "../../src/deployments/sweep-branches.ts";
import { deleteDuePreviews } from "../../src/previews/delete-due-previews.ts";
import { endedJob, projectSql } from "../integrations/clerk-server.ts";
import { standing } from "../previews/preview-server.ts";
import { asCustomer, asSuperuser } from "../projects/project-databases.ts";
import { until } from "../support/until.ts";
import {
	branchValues,
	type Connected,
	deployments,
	idle,
	published,
	startConnected,
} from "./vercel-server.ts";

const hourMs = 3_600_000;

async function previewsOf({ server, tenant }: Connected) {
	const path = `/v1/projects/${tenant.projectId}/preview-databases`;
	const { body } = await server.call("GET", path, { key: tenant.key });
	return body.preview_databases as { id: string; name: string; mode: string; state: string }[];
}

function redeploys({ fake }: Connected): number {
	return fake.requests.filter(({ method, path }) => method === "POST" && path === "/v13/deployments").length;
}

describe("a preview deployment", () => {
	it("gives its branch a clone with its own variables, builds it once more, and the clone's end removes them", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project } = connected;
		await projectSql(server, tenant, "create table orders (n int)");
		await projectSql(server, tenant, "insert into orders values (7)");
		const { deployment, event } = fake.deploy(project, { branch: "checkout" });
		const sent = await fake.deliver([event]);
		expect(sent.map(({ status }) => status)).toEqual([200]);
		await until(() => branchValues(connected, "checkout").DATABASE_URL, { timeoutMs: 30_000 });
		await idle(connected);
		const values = branchValues(connected, "checkout");
		expect(Object.keys(values).toSorted()).toEqual(["DATABASE_URL", "DATABASE_URL_UNPOOLED"]);
		expect(await asCustomer(values.DATABASE_URL ?? "", "select n from orders")).toEqual([{ n: 7 }]);
		const [preview, ...others] = await previewsOf(connected);
		expect(others).toEqual([]);
		expect(preview).toMatchObject({ name: "branch-checkout", mode: "clone", state: "ready" });
		expect(redeploys(connected)).toBe(1);
		await fake.deliver([fake.finish(deployment, "ready")]);
		await idle(connected);
		const [row] = (await deployments(connected)).filter(({ external_id }) => external_id === deployment.id);
		expect(row).toMatchObject({
			provider: "vercel",
			state: "ready",
			branch: "checkout",
			is_preview: true,
			preview_database_id: preview?.id,
			last_error: null,
		});
		const told = (await published(connected)).filter(({ externalId }) => externalId === deployment.id);
		expect(told.map(({ type }) => type)).toEqual(["deployment.created", "deployment.ready"]);
		expect(redeploys(connected)).toBe(1);
		await server.advance(73 * hourMs);
		await deleteDuePreviews(server.ctx);
		await until(() => Object.keys(branchValues(connected, "checkout")).length === 0, { timeoutMs: 30_000 });
		expect(await standing(preview?.id ?? "")).toEqual([]);
		expect(project.variables.map(({ key }) => key).toSorted()).toEqual([
			"DATABASE_URL",
			"DATABASE_URL_UNPOOLED",
		]);
	});

	it("of a fork, of the production branch, or beyond the limit of previews gets no variables, and says why", async () => {
		const connected = await startConnected({ PREVIEWS_MAX: "2" });
		const { fake, project } = connected;
		const fork = fake.deploy(project, { branch: "patch-1", isFork: true, pullRequest: 3 });
		const main = fake.deploy(project, { branch: "main" });
		const one = fake.deploy(project, { branch: "one" });
		const two = fake.deploy(project, { branch: "two" });
		const beyond = fake.deploy(project, { branch: "three" });
		await fake.deliver([fork.event, main.event, one.event, two.event, beyond.event]);
		await idle(connected);
		expect((await previewsOf(connected)).map(({ name }) => name)).toEqual(["branch-two", "branch-one"]);
		const errors = Object.fromEntries(
			(await deployments(connected)).map(({ external_id, last_error }) => [external_id, last_error]),
		);
		expect(errors[fork.deployment.id]).toMatch(/fork/);
		expect(errors[main.deployment.id]).toMatch(/production branch/);
		expect(errors[one.deployment.id]).toBeNull();
		expect(errors[beyond.deployment.id]).toMatch(/2 preview databases/);
		const branches = new Set(project.variables.map(({ gitBranch }) => gitBranch ?? null));
		expect([...branches].toSorted()).toEqual([null, "one", "two"].toSorted());
	});

	it("of what became the production branch since gets no variables either, and later ones get no database", async () => {
		const connected = await startConnected();
		const { server, fake, project } = connected;
		await server.sql('update integrations set status = status || \'{"productionBranch": "trunk"}\'');
		const deliverMain = () => fake.deliver([fake.deploy(project, { branch: "main" }).event]);
		await deliverMain();
		await idle(connected);
		expect((await deployments(connected))[0]).toMatchObject({
			last_error: expect.stringMatching(/production branch/),
			preview_database_id: expect.any(String),
		});
		await deliverMain();
		await idle(connected);
		expect((await deployments(connected))[0]).toMatchObject({
			last_error: expect.stringMatching(/production branch/),
			preview_database_id: null,
		});
		expect(branchValues(connected, "main")).toEqual({});
	});

	it("has its variables under another prefix soon after that was set, and under the former no more", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project } = connected;
		await fake.deliver([fake.deploy(project, { branch: "checkout" }).event]);
		await until(() => branchValues(connected, "checkout").DATABASE_URL, { timeoutMs: 30_000 });
		await idle(connected);
		const { DATABASE_URL: url } = branchValues(connected, "checkout");
		const body = { config: { env_prefix: "CAPY_" } };
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		expect((await server.call("PUT", path, { key: tenant.key, body })).status).toBe(200);
		await sweepBranches(server.ctx);
		await idle(connected);
		const keys = ["CAPY_DATABASE_URL", "CAPY_DATABASE_URL_UNPOOLED"];
		expect(Object.keys(branchValues(connected, "checkout")).toSorted()).toEqual(keys);
		expect(branchValues(connected, "checkout").CAPY_DATABASE_URL).toBe(url);
		expect(redeploys(connected)).toBe(1);
	});

	it("makes five databases for fifty deployments of five branches at once, each event sent twice", async () => {
		const connected = await startConnected();
		const { fake, project } = connected;
		const names = ["a", "b", "c", "d", "e"].map((name) => `feature/${name}`);
		const made = names.flatMap((branch) =>
			Array.from({ length: 10 }, () => fake.deploy(project, { branch })),
		);
		const events = made.flatMap(({ deployment, event }) => [event, fake.finish(deployment, "ready")]);
		const sent = await fake.deliver(events, { times: 2, shuffled: true });
		expect(sent.every(({ status }) => status === 200)).toBe(true);
		await until(() => names.every((name) => branchValues(connected, name).DATABASE_URL), {
			timeoutMs: 60_000,
		});
		await idle(connected);
		expect(await previewsOf(connected)).toHaveLength(5);
		for (const name of names) {
			const own = project.variables.filter(({ gitBranch }) => gitBranch === name);
			expect(own.map(({ key }) => key).toSorted()).toEqual(["DATABASE_URL", "DATABASE_URL_UNPOOLED"]);
		}
		const rows = (await deployments(connected)).filter(({ external_id }) =>
			made.some(({ deployment }) => deployment.id === external_id),
		);
		expect(rows.map(({ state }) => state)).toEqual(Array(50).fill("ready"));
		const told = (await published(connected)).filter(({ externalId }) =>
			made.some(({ deployment }) => deployment.id === externalId),
		);
		expect(told.filter(({ type }) => type === "deployment.created")).toHaveLength(50);
		expect(told.filter(({ type }) => type === "deployment.ready")).toHaveLength(50);
		expect(told).toHaveLength(100);
		expect(redeploys(connected)).toBe(5);
	}, 120_000);
});

describe("a deployment whose event never came", () => {
	it("is made up for; its branch gets no database when that would be gone by now", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project } = connected;
		const path = `/v1/projects/${tenant.projectId}/integrations`;
		const { body } = await server.call("GET", path, { key: tenant.key });
		const integrationId = body.integrations[0].id as IntegrationId;
		const weekAgo = { deploymentsReadAt: new Date(Date.now() - 160 * hourMs).toISOString() };
		await server.ctx.stores.integrations.report(integrationId, { set: weekAgo });
		fake.deploy(project, { branch: "four-days-ago" }).deployment.createdAt -= 96 * hourMs;
		fake.deploy(project, { branch: "two-days-ago" }).deployment.createdAt -= 48 * hourMs;
		await server.ctx.tasks.send("integrations.reconcile", { integrationId });
		await until(() => branchValues(connected, "two-days-ago").DATABASE_URL);
		await idle(connected);
		expect((await previewsOf(connected)).map(({ name }) => name)).toEqual(["branch-two-days-ago"]);
		const told = (await deployments(connected)).map(({ branch }) => branch);
		expect(told).toEqual(expect.arrayContaining(["four-days-ago", "two-days-ago"]));
	});
});

describe("a deployment event while", () => {
	it("the project's database is away is answered at once, and its branch gets its database afterwards", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project } = connected;
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}`, { key: tenant.key });
		const name = body.project.database_name;
		await asSuperuser(`alter role "${name}" nologin`);
		const { deployment, event } = fake.deploy(project, { branch: "checkout" });
		expect((await fake.deliver([event])).map(({ status }) => status)).toEqual([200]);
		await until(async () => (await deployments(connected))[0]?.external_id === deployment.id);
		expect(await published(connected)).toEqual([{ type: "deployment.created", externalId: deployment.id }]);
		await asSuperuser(`alter role "${name}" login`);
		await until(() => branchValues(connected, "checkout").DATABASE_URL);
	});

	it("the integration is in error is taken, and once that is connected anew the branch gets its variables", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, token } = connected;
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		fake.revokeToken(token);
		const { body } = await server.call("POST", `${path}/sync`, { key: tenant.key });
		expect((await endedJob(server, tenant, body.job.id)).state).toBe("failed");
		const { deployment, event } = fake.deploy(project, { branch: "checkout" });
		expect((await fake.deliver([event])).map(({ status }) => status)).toEqual([200]);
		await idle(connected);
		const [row] = await deployments(connected);
		expect(row).toMatchObject({ external_id: deployment.id, last_error: expect.stringMatching(/Vercel/) });
		expect(branchValues(connected, "checkout")).toEqual({});
		const again = await server.call("POST", `${path}/connect`, {
			key: tenant.key,
			body: { vercel_project_id: project.id, team_id: fake.teamId, token: fake.addToken() },
		});
		await endedJob(server, tenant, again.body.job.id);
		await sweepBranches(server.ctx);
		await until(() => branchValues(connected, "checkout").DATABASE_URL);
		await idle(connected);
		expect((await deployments(connected)).map(({ last_error }) => last_error)).not.toContain(row?.last_error);
	});
});

describe("the name of a branch's database", () => {
	it("is the branch's where that fits, and else carries a short hash", () => {
		expect(previewNameOf("checkout-2")).toBe("branch-checkout-2");
		const changed = ["feature/x", "feature-x/", "Feature-X", "ü", "x".repeat(41), `${"x".repeat(41)}y`, "-x"];
		const names = changed.map(previewNameOf);
		expect(new Set(names).size).toBe(changed.length);
		for (const name of names) expect(name).toMatch(/^branch-[a-z0-9-]{7,40}$/);
	});
});
