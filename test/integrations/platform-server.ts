import { onTestFinished } from "vitest";
import { type FakeNetlify, startFakeNetlify } from "../fakes/netlify.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { endedJob } from "./clerk-server.ts";

export type VercelServer = {
	server: TestServer;
	tenant: Tenant;
	vercel: FakeVercel;
	project: ReturnType<FakeVercel["addProject"]>;
	token: string;
};

/** The whole server with one ready project, and a Vercel with one project of a team that it talks to. */
export async function startVercelServer(): Promise<VercelServer> {
	const vercel = await startFakeVercel();
	onTestFinished(() => vercel.close());
	const server = await startTestServer({ env: { VERCEL_API_URL: vercel.origin } });
	return {
		server,
		vercel,
		tenant: await server.tenant(),
		project: vercel.addProject(),
		token: vercel.addToken(),
	};
}

export type NetlifyServer = { server: TestServer; tenant: Tenant; netlify: FakeNetlify };

export async function startNetlifyServer(): Promise<NetlifyServer> {
	const netlify = await startFakeNetlify();
	onTestFinished(() => netlify.close());
	const server = await startTestServer({ env: { NETLIFY_API_URL: netlify.origin } });
	return { server, netlify, tenant: await server.tenant() };
}

export function platformPath(tenant: Pick<Tenant, "projectId">, provider: string, verb = ""): string {
	return `/v1/projects/${tenant.projectId}/integrations/${provider}${verb === "" ? "" : `/${verb}`}`;
}

export function askConnectVercel(site: VercelServer, body: Record<string, unknown> = {}) {
	const { server, tenant, vercel, project, token } = site;
	const given = { vercel_project_id: project.id, token, team_id: vercel.teamId, ...body };
	return server.call("POST", platformPath(tenant, "vercel", "connect"), { key: tenant.key, body: given });
}

/** Connects and waits for the push. Returns the integration and the job that has ended. */
export async function connectVercel(site: VercelServer, body: Record<string, unknown> = {}) {
	const answer = await askConnectVercel(site, body);
	if (answer.status !== 201) throw new Error(`connect answered ${answer.text}`);
	const job = await endedJob(site.server, site.tenant, answer.body.job.id);
	return { integration: answer.body.integration, job };
}

export async function connectNetlify(site: NetlifyServer, body: Record<string, unknown> = {}) {
	const { server, tenant, netlify } = site;
	const given = { site_id: netlify.site.id, token: netlify.token, ...body };
	const answer = await server.call("POST", platformPath(tenant, "netlify", "connect"), {
		key: tenant.key,
		body: given,
	});
	if (answer.status !== 201) throw new Error(`connect answered ${answer.text}`);
	const job = await endedJob(server, tenant, answer.body.job.id);
	return { integration: answer.body.integration, job };
}

/** The URLs that the customer is given. */
export async function connections(server: TestServer, { projectId, key }: Tenant) {
	const { body } = await server.call("GET", `/v1/projects/${projectId}/connections`, { key });
	return body.connections as { pooled_url: string; direct_url: string };
}

/** The newest job of that type, once it has ended. */
export async function newestJob(server: TestServer, tenant: Tenant, type: string) {
	const jobs = await jobsOf(server, tenant, type);
	if (!jobs[0]) throw new Error(`There is no job ${type}.`);
	return endedJob(server, tenant, jobs[0].id);
}

export async function jobsOf(
	server: TestServer,
	{ projectId, key }: Tenant,
	type: string,
): Promise<{ id: string; type: string; state: string }[]> {
	const { body } = await server.call("GET", `/v1/projects/${projectId}/jobs?limit=250`, { key });
	return body.jobs.filter((job: { type: string }) => job.type === type);
}

export async function eventTypes(server: TestServer): Promise<string[]> {
	const rows = await server.sql<{ type: string }>("select type from events order by id");
	return rows.map(({ type }) => type);
}
