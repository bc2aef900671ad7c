import pg from "pg";
import { until } from "../support/until.ts";
import type { Story } from "./story.ts";

type VercelProject = ReturnType<Story["vercel"]["addProject"]>;

/** Connects the project to one of Vercel's, with a database for every branch. Returns the job that pushes. */
export async function connectVercel({ call, projectId, vercel }: Story, project: VercelProject) {
	const { integration, job } = await call("POST", `/v1/projects/${projectId}/integrations/vercel/connect`, {
		body: {
			vercel_project_id: project.id,
			team_id: vercel.teamId,
			token: vercel.addToken(),
			preview_branches: true,
		},
		expect: 201,
	});
	return { state: String(integration.state), jobId: String(job.id) };
}

/** What stands at Vercel, by key: of one branch, or with null what is of no branch. */
export function variablesOf(project: VercelProject, branch: string | null): Record<string, string> {
	const own = project.variables.filter((variable) => (variable.gitBranch ?? null) === branch);
	return Object.fromEntries(own.map(({ key, value }) => [key, value]));
}

/** The URLs that the API hands out. */
export async function connections({ call, projectId }: Story): Promise<{ pooled: string; direct: string }> {
	const answer = await call("GET", `/v1/projects/${projectId}/connections`);
	return { pooled: answer.connections.pooled_url, direct: answer.connections.direct_url };
}

/** A commit is pushed: Vercel begins a deployment and sends its event, twice. Returns how these were answered. */
export async function pushCommit({ vercel }: Story, project: VercelProject, branch: string) {
	const { deployment, event } = vercel.deploy(project, { branch });
	const sent = await vercel.deliver([event], { times: 2 });
	return { deployment, statuses: sent.map(({ status }) => status) };
}

/** The URL that a branch's next build will see, as soon as it is there. */
export function branchUrl(project: VercelProject, branch: string): Promise<string> {
	return until(() => variablesOf(project, branch).DATABASE_URL, {
		what: `DATABASE_URL of branch ${branch} at Vercel`,
	});
}

/** The deployment that the server asked for once the variables stood: what its build sees. */
export function rebuilt({ vercel }: Story, project: VercelProject) {
	const find = () =>
		[...vercel.deployments.values()].find(
			({ projectId, source }) => projectId === project.id && source === "redeploy",
		);
	return until(find, { what: "the branch's second build" });
}

/** One statement with a URL, as an application would run it. Null when the database does not let it in. */
export async function queryAs(url: string, text: string): Promise<Record<string, unknown>[] | null> {
	const client = new pg.Client({ connectionString: url });
	client.on("error", () => undefined);
	try {
		await client.connect();
		return (await client.query(text)).rows;
	} catch (error) {
		// No such database, no such role, wrong password.
		if (error instanceof pg.DatabaseError && /^(3D000|28)/.test(error.code ?? "")) return null;
		throw error;
	} finally {
		await client.end();
	}
}

/** A deployment as the API shows it, once it is in that state. */
export function deploymentIn({ call, projectId }: Story, externalId: string, state: string) {
	return until(
		async () => {
			const { deployments } = await call("GET", `/v1/projects/${projectId}/deployments`);
			return deployments.find(
				(each: { external_id: string; state: string }) =>
					each.external_id === externalId && each.state === state,
			);
		},
		{ everyMs: 100, what: `deployment ${externalId} as ${state}` },
	);
}
