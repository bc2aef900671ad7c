import { until } from "../support/until.ts";
import { endpoints } from "./publishing.ts";
import type { Site } from "./site.ts";

export type Tenant = { organizationId: string; key: string };

/** An organization with a key, and the endpoints that the receiver stands for. */
export async function addTenant(site: Site): Promise<Tenant> {
	const { organization } = await site.insist(201, "POST", "/v1/organizations", { body: { name: "crash" } });
	const path = `/v1/organizations/${organization.id}`;
	const body = { name: "crash", scopes: ["*"] };
	const { plaintext_api_key: key } = await site.insist(201, "POST", `${path}/api-keys`, { body });
	for (const { name, event_types } of endpoints) {
		const url = `${site.listener.receiver.url}/${name}`;
		await site.insist(201, "POST", `${path}/webhook-endpoints`, { key, body: { url, event_types } });
	}
	return { organizationId: organization.id, key };
}

/** Returns the id of a project whose database stands. */
export async function addProject(site: Site, { key }: Tenant, name: string): Promise<string> {
	const { project } = await site.insist(201, "POST", "/v1/projects", { key, body: { name } });
	await until(async () => {
		const answer = await site.insist(200, "GET", `/v1/projects/${project.id}`, { key });
		return answer.project.state === "ready";
	});
	return project.id;
}

/** What a job came to: `completed` or `failed`. */
export async function endOfJob(site: Site, { key }: Tenant, jobId: string): Promise<string> {
	return until(
		async () => {
			const { job } = await site.insist(200, "GET", `/v1/jobs/${jobId}`, { key });
			return ["completed", "failed"].includes(job.state) ? job.state : null;
		},
		{ what: `the end of ${jobId}`, everyMs: 100 },
	);
}
