import { randomUUID } from "node:crypto";
import { newId, type OrganizationId, type ProjectId } from "../../src/core/ids.ts";
import type { Tenant, TestServer } from "../support/server.ts";

/** A row alone, as an event of the platform would make it. */
export function addDeployment({ ctx }: TestServer, tenant: Tenant): Promise<unknown> {
	const startedAt = new Date();
	return ctx.stores.deployments.insert({
		id: newId("dep"),
		organizationId: tenant.organizationId as OrganizationId,
		projectId: tenant.projectId as ProjectId,
		integrationId: newId("int"),
		provider: "vercel",
		externalId: randomUUID(),
		state: "building",
		stateAt: startedAt,
		announced: ["created"],
		context: "preview",
		isPreview: true,
		branch: "checkout",
		commitSha: null,
		commitMessage: null,
		commitAuthor: null,
		pullRequest: null,
		isFork: null,
		url: null,
		inspectUrl: null,
		errorCode: null,
		startedAt,
		readyAt: null,
	});
}
