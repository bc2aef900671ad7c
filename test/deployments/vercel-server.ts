import { onTestFinished } from "vitest";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { endedJob } from "../integrations/clerk-server.ts";
import { withoutTools } from "../previews/preview-server.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

export type Connected = {
	server: TestServer;
	fake: FakeVercel;
	tenant: Tenant;
	project: ReturnType<FakeVercel["addProject"]>;
	token: string;
	/** The path that the fake's hook calls. */
	hookPath: string;
	secret: string;
};

/** A server with a project that is connected to the fake, with a database for every branch. */
export async function startConnected(
	env: Record<string, string> = {},
	config: Record<string, unknown> = {},
): Promise<Connected> {
	const fake = await startFakeVercel();
	onTestFinished(() => fake.close());
	const server = await startTestServer({ env: { ...withoutTools, VERCEL_API_URL: fake.origin, ...env } });
	const tenant = await server.tenant();
	const token = fake.addToken();
	const project = fake.addProject();
	const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
	const answer = await server.call("POST", `${path}/connect`, {
		key: tenant.key,
		body: { vercel_project_id: project.id, team_id: fake.teamId, token, preview_branches: true },
	});
	if (answer.status !== 201) throw new Error(`connect answered ${answer.text}`);
	await endedJob(server, tenant, answer.body.job.id);
	if (Object.keys(config).length > 0) await server.call("PUT", path, { key: tenant.key, body: { config } });
	const hook = [...fake.hooks.values()][0];
	if (!hook) throw new Error("no hook was registered");
	const { pathname: hookPath } = new URL(hook.url);
	return { server, fake, tenant, project, token, hookPath, secret: hook.secret };
}

/** What the branch's deployments get, by key. */
export function branchValues(
	{ project }: Pick<Connected, "project">,
	branch: string,
): Record<string, string> {
	const own = project.variables.filter((variable) => variable.gitBranch === branch);
	return Object.fromEntries(own.map(({ key, value }) => [key, value]));
}

export async function deployments({ server, tenant }: Pick<Connected, "server" | "tenant">) {
	const path = `/v1/projects/${tenant.projectId}/deployments?limit=250`;
	const { body } = await server.call("GET", path, { key: tenant.key });
	return body.deployments as Record<string, unknown>[];
}

/** Waits until nothing received waits for its effect and no job waits or runs. */
export async function idle({ server, tenant }: Pick<Connected, "server" | "tenant">): Promise<void> {
	await until(
		async () => {
			const [row] = await server.sql<{ busy: number }>(
				`select ((select count(*) from inbound_webhooks where state = 'received')
					+ (select count(*) from jobs where project_id is not null and state in ('pending', 'running')))::int as busy`,
			);
			return row?.busy === 0 ? tenant : null;
		},
		{ timeoutMs: 60_000 },
	);
}

/** What was announced of deployments, in order. */
export async function published({ server }: Pick<Connected, "server">) {
	return server.sql<{ type: string; externalId: string }>(
		`select type, payload::jsonb #>> '{data,deployment,external_id}' as "externalId"
		from events where type like 'deployment.%' order by id`,
	);
}
