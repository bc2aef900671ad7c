import { setTimeout as pause } from "node:timers/promises";
import { until } from "../support/until.ts";
import { connectClerk } from "./inbound.ts";
import type { Site } from "./site.ts";
import { endOfJob, type Tenant } from "./tenants.ts";

/** A project whose integration comes and goes. */
export type Connecting = {
	provider: "clerk" | "vercel";
	projectId: string;
	connections(): number;
	/** Connects for a last time; returns when its job has ended. Throws unless that went well. */
	stop(): Promise<void>;
};

/** Connects and disconnects without pause, each until it is done. */
export function startConnecting(
	site: Site,
	tenant: Tenant,
	provider: Connecting["provider"],
	projectId: string,
): Connecting {
	const path = `/v1/projects/${projectId}/integrations`;
	const connect = connectorOf(site, tenant, provider, projectId);
	let isOver = false;
	let connections = 0;
	const comeAndGo = async () => {
		const jobId = await connect();
		connections += 1;
		// Some are cut short in their work.
		if (connections % 3 !== 0) await endOfJob(site, tenant, jobId);
		// Asked again after an answer that was not heard it is gone.
		await site.insist([200, 404], "DELETE", `${path}/${provider}`, { key: tenant.key });
		await until(async () => {
			const { integrations } = await site.insist(200, "GET", path, { key: tenant.key });
			return integrations.length === 0;
		});
		await pause(50);
	};
	const working = (async () => {
		while (!isOver) await comeAndGo();
	})();
	working.catch(() => undefined);
	return {
		provider,
		projectId,
		connections: () => connections,
		stop: async () => {
			isOver = true;
			await working;
			const end = await endOfJob(site, tenant, await connect());
			if (end !== "completed") throw new Error(`The last connection with ${provider} has ${end}.`);
		},
	};
}

function connectorOf(
	site: Site,
	tenant: Tenant,
	provider: Connecting["provider"],
	projectId: string,
): () => Promise<string> {
	if (provider === "clerk") return () => connectClerk(site, tenant, projectId);
	const project = site.vercel.addProject({ name: "crash" });
	const token = site.vercel.addToken();
	const body = {
		vercel_project_id: project.id,
		token,
		team_id: site.vercel.teamId,
		preview_branches: true,
	};
	return async () => {
		const path = `/v1/projects/${projectId}/integrations/vercel/connect`;
		const { job } = await site.insist(201, "POST", path, { key: tenant.key, body });
		return job.id;
	};
}
