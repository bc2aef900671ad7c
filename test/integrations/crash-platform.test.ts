import { describe, expect, it, onTestFinished } from "vitest";
import type { ProjectId } from "../../src/core/ids.ts";
import { judgePathToken } from "../../src/integrations/platforms/hook-token.ts";
import type { Held } from "../fakes/holds.ts";
import { startFakeVercel } from "../fakes/vercel.ts";
import { until } from "../support/until.ts";
import { type CrashServer, startCrashServer } from "./crash-server.ts";
import { connections, connectVercel, platformPath, type VercelServer } from "./platform-server.ts";

type Place = CrashServer & { vercel: VercelServer["vercel"] };

describe("a process that is killed", () => {
	it("while it connects or pushes, at any point, leaves one hook and one variable of each name in the end", async () => {
		const place = await startPlace();
		const { vercel } = place;
		const points: [string, VercelServer, Held][] = [];
		const at = async (point: string, hold: (site: VercelServer) => Held) => {
			const site = await addSite(place);
			const held = hold(site);
			void callDoomed(place, site).catch(() => undefined);
			await held.arrived;
			points.push([point, site, held]);
		};
		const hook = /^POST \/v1\/webhooks$/;
		await at("before the hook is made", () => vercel.holdNext(hook));
		await at("before the hook's secret is heard of", () => vercel.holdNext(hook, { afterWork: true }));
		await at("before the variables are read", ({ project }) => vercel.holdNext(reading(project)));
		await at("before the variables are written", ({ project }) => vercel.holdNext(writing(project)));
		await at("before it is heard how they stand", ({ project }) =>
			vercel.holdNext(writing(project), { afterWork: true }),
		);
		const moved = await addSite(place);
		await connectVercel(moved, { preview_branches: true });
		const former = moved.project;
		const target = vercel.addProject({ name: "moved" });
		const held = vercel.holdNext(/^DELETE \/v1\/webhooks\//);
		moved.project = target;
		void callDoomed(place, moved).catch(() => undefined);
		await held.arrived;
		points.push(["before the former hook is deleted", moved, held]);
		await place.crash(points.map(([, , each]) => each));
		for (const [point, site] of points) await expectConnected(point, site);
		await until(() => former.variables.length === 0, { what: "nothing of ours at the former target" });
		await until(() => vercel.hooks.size === points.length, { what: "one hook for each project" });
	});

	it("while it disconnects, at any point, leaves the platform as it was in the end", async () => {
		const place = await startPlace();
		const { vercel, server } = place;
		const held: Held[] = [];
		const sites: VercelServer[] = [];
		for (const afterWork of [false, true]) {
			for (const what of [/^DELETE \/v1\/webhooks\//, /^DELETE \/v9\/projects\//]) {
				const site = await addSite(place);
				await connectVercel(site, { preview_branches: true });
				const hold = vercel.holdNext(what, { afterWork });
				await server.call("DELETE", platformPath(site.tenant, "vercel"), { key: site.tenant.key });
				await hold.arrived;
				held.push(hold);
				sites.push(site);
			}
		}
		await place.crash(held);
		await until(async () => (await server.sql("select 1 from integrations")).length === 0, {
			what: "every integration to be gone",
		});
		expect(vercel.hooks.size).toBe(0);
		expect(sites.map(({ project }) => project.variables)).toEqual(sites.map(() => []));
		expect(await server.sql("select 1 from pushed_variables")).toEqual([]);
	});
});

async function expectConnected(point: string, { server, vercel, project, tenant }: VercelServer) {
	const { pooled_url, direct_url } = await connections(server, tenant);
	await until(
		() =>
			project.variables
				.map(({ value }) => value)
				.sort()
				.join() === [pooled_url, direct_url].sort().join(),
		{ what: `both variables, after a crash ${point}` },
	);
	await until(
		async () => {
			const found = await server.ctx.stores.integrations.findByProvider(
				tenant.projectId as ProjectId,
				"vercel",
			);
			const ours = [...vercel.hooks.values()].filter(({ url }) => url.includes(tenant.projectId));
			const token = ours[0]?.url.split("/").at(-1) ?? "";
			const isStanding = found !== null && judgePathToken(found, token) === "standing";
			return ours.length === 1 && isStanding && ours[0]?.projectIds?.join() === project.id;
		},
		{ what: `one hook that stands, after a crash ${point}` },
	);
}

async function startPlace(): Promise<Place> {
	const vercel = await startFakeVercel();
	onTestFinished(() => vercel.close());
	return { vercel, ...(await startCrashServer({ VERCEL_API_URL: vercel.origin })) };
}

let added = 0;

/** One more project of ours, and one at Vercel. */
async function addSite({ server, vercel }: Place): Promise<VercelServer> {
	added += 1;
	const tenant = await server.tenant(`tenant-${added}`);
	return {
		server,
		vercel,
		tenant,
		project: vercel.addProject({ name: `web-${added}` }),
		token: vercel.addToken(),
	};
}

/** The connect call to the process that is going to die in it, or in the push that follows. */
function callDoomed(place: Place, { vercel, tenant, project, token }: VercelServer): Promise<unknown> {
	const body = { vercel_project_id: project.id, token, team_id: vercel.teamId, preview_branches: true };
	return place.callDoomed(platformPath(tenant, "vercel", "connect"), { key: tenant.key, body });
}

function reading(project: { id: string }): RegExp {
	return new RegExp(`^GET /v10/projects/${project.id}/env$`);
}

function writing(project: { id: string }): RegExp {
	return new RegExp(`^POST /v10/projects/${project.id}/env$`);
}
