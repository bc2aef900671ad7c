import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { endedJob } from "../integrations/clerk-server.ts";
import { standing, withoutTools } from "../previews/preview-server.ts";
import { asCustomer } from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { quietTrigger } from "../support/triggers.ts";
import { until } from "../support/until.ts";
import { branchValues, idle, published } from "./vercel-server.ts";

type Site = {
	server: TestServer;
	fake: FakeVercel;
	tenant: Tenant;
	project: ReturnType<FakeVercel["addProject"]>;
};

/** Where the process stands when it is killed: in a statement of ours, or in a call to the platform. */
type Point = { at: string } & (
	| { table: string; when: string; on?: "insert" | "update" }
	| { call: (project: Site["project"]) => RegExp; afterWork?: boolean }
);

const isCloneJob = "new.type = 'branch.create'";

const points: Point[] = [
	{ at: "the event is about to take effect", table: "deployments", on: "insert", when: "true" },
	{ at: "the clone's job begins", table: "jobs", when: `${isCloneJob} and new.state = 'running'` },
	{ at: "the clone stands, unnoted", table: "jobs", when: `${isCloneJob} and new.progress ? 'built'` },
	{ at: "the clone is opened, unnoted", table: "preview_databases", when: "new.state = 'ready'" },
	{ at: "the variables go to the platform", call: ({ id }) => new RegExp(`^POST /v10/projects/${id}/env`) },
	{
		at: "the variables are at the platform, unheard of",
		call: ({ id }) => new RegExp(`^POST /v10/projects/${id}/env`),
		afterWork: true,
	},
	{
		at: "the variables are there, unnoted",
		table: "deployment_branches",
		when: "new.pushed_preview_id is not null and new.redeployed_preview_id is null",
	},
	{ at: "the branch is built again, unheard of", call: () => /^POST \/v13\/deployments/, afterWork: true },
	{
		at: "the branch was built again, unnoted",
		table: "deployment_branches",
		when: "new.redeployed_preview_id is not null",
	},
];

const stopKey = 4711;
const branch = "checkout";

it("a process killed at any step of giving a branch its database leaves nothing behind, and nothing is done twice", async () => {
	const { sites, server, fake, env, worker } = await startSites();
	const gate = await closeGate(server);
	const arrived = sites.map((site, at) => stopAt(site, points[at] as Point));
	const calls = await Promise.all(arrived);
	const events = sites.map(({ project }) => fake.deploy(project, { branch }).event);
	expect((await fake.deliver(events)).map(({ status }) => status)).toEqual(sites.map(() => 200));
	for (const [at, call] of calls.entries()) {
		if (call !== null) await until(() => call.isThere(), { what: points[at]?.at ?? "" });
	}
	const stoppedHere = points.filter((point) => "table" in point).length;
	await until(async () => (await gate.waiting()) === stoppedHere, { what: "all steps" });
	worker.signal("SIGKILL");
	expect(await worker.exited).toMatchObject({ signal: "SIGKILL" });
	await gate.open();
	for (const call of calls) call?.release();
	await startWorker(server, env);
	await until(() => sites.every((site) => branchValues(site, branch).DATABASE_URL));
	for (const site of sites) await idle(site);
	for (const [at, site] of sites.entries()) {
		expect([points[at]?.at, await endOf(site)]).toEqual([points[at]?.at, expectedEnd]);
	}
	const told = (await published({ server })).map(({ type, externalId }) => `${type} ${externalId}`);
	expect(new Set(told).size).toBe(told.length);
}, 400_000);

const expectedEnd = {
	previews: [{ name: `branch-${branch}`, state: "ready" }],
	standing: ["database", "role"],
	variables: ["DATABASE_URL", "DATABASE_URL_UNPOOLED"],
	isReachable: true,
	timesBuiltAgain: 1,
	openJobs: 0,
};

async function endOf({ server, fake, tenant, project }: Site) {
	const list = `/v1/projects/${tenant.projectId}/preview-databases`;
	const { body } = await server.call("GET", list, { key: tenant.key });
	const previews = body.preview_databases as { id: string; name: string; state: string }[];
	const own = project.variables.filter(({ gitBranch }) => gitBranch === branch);
	const url = branchValues({ project }, branch).DATABASE_URL ?? "";
	const [row] = await asCustomer<{ name: string }>(url, "select current_database() as name");
	const jobs = await server.sql(
		"select 1 from jobs where project_id = $1 and state in ('pending', 'running', 'failed')",
		[toUuid(tenant.projectId as `prj_${string}`)],
	);
	const again = [...fake.deployments.values()].filter(
		({ projectId, source }) => projectId === project.id && source === "redeploy",
	).length;
	return {
		previews: previews.map(({ name, state }) => ({ name, state })),
		standing: await standing(previews[0]?.id ?? ""),
		variables: own.map(({ key }) => key).toSorted(),
		isReachable: row?.name === previews[0]?.id,
		timesBuiltAgain: again,
		openJobs: jobs.length,
	};
}

/** One connected project for each point, and a worker that is a process of its own. */
async function startSites() {
	const fake = await startFakeVercel();
	onTestFinished(() => fake.close());
	const env = { ...withoutTools, VERCEL_API_URL: fake.origin };
	const server = await startTestServer({ env: { ...env, ROLE: "api" } });
	const worker = await startWorker(server, env);
	const tenant = await server.tenant();
	const token = fake.addToken();
	const sites = points.map(async (_, at): Promise<Site> => {
		const { key } = tenant;
		const made = await server.call("POST", "/v1/projects", { key, body: { name: `web-${at}` } });
		const own = { ...tenant, projectId: made.body.project.id };
		expect((await endedJob(server, own, made.body.job.id)).state).toBe("completed");
		const project = fake.addProject({ name: `web-${at}` });
		const answer = await server.call("POST", `/v1/projects/${own.projectId}/integrations/vercel/connect`, {
			key,
			body: { vercel_project_id: project.id, team_id: fake.teamId, token, preview_branches: true },
		});
		await endedJob(server, own, answer.body.job.id);
		return { server, fake, tenant: own, project };
	});
	return { sites: await Promise.all(sites), server, fake, env, worker };
}

/** Lets the process come as far as the point, where it stays. */
async function stopAt({ server, fake, tenant, project }: Site, point: Point) {
	if ("call" in point) {
		const held = fake.holdNext(point.call(project), { afterWork: point.afterWork ?? false });
		let isThere = false;
		void held.arrived.then(() => {
			isThere = true;
		});
		return { isThere: () => isThere, release: held.release };
	}
	const { table, on = "update", when } = point;
	const project_ = toUuid(tenant.projectId as `prj_${string}`);
	await server.sql(`create trigger stop_${project_.replaceAll("-", "")} before ${on} on ${table} for each row
		when (new.project_id = '${project_}' and ${when}) execute function stop_here()`);
	return null;
}

/** What the triggers wait for. Opened, nothing stops any more, and what waited is broken off as a crash leaves it. */
async function closeGate(server: TestServer) {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	holder.on("error", () => undefined);
	await holder.connect();
	onTestFinished(() => holder.end());
	await holder.query("select pg_advisory_lock($1)", [stopKey]);
	await server.sql(`create function stop_here() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock_shared(${stopKey}); return new; end $$`);
	const stopped = `from pg_locks where locktype = 'advisory' and objid = ${stopKey} and not granted
		and database = (select oid from pg_database where datname = current_database())`;
	return {
		waiting: async () => {
			const [row] = await server.sql<{ count: number }>(`select count(*)::int as count ${stopped}`);
			return row?.count ?? 0;
		},
		open: async () => {
			await server.sql(`select pg_terminate_backend(pid) ${stopped}`);
			await until(async () => (await server.sql(`select 1 ${stopped}`)).length === 0);
			await quietTrigger(server, "stop_here");
			await holder.query("select pg_advisory_unlock($1)", [stopKey]);
		},
	};
}
