import { expect } from "vitest";
import { asSuperuser, ended } from "../projects/project-databases.ts";
import type { Answer, Tenant, TestServer } from "../support/server.ts";

/** So that no pg_dump of this machine is used: clones take the template road. */
export const withoutTools = { PG_DUMP: "/nowhere/pg_dump" };

export type MadePreview = { id: string; path: string; job: Answer["body"]; preview: Answer["body"] };

/** Asks for a preview of the tenant's project and waits until its job has ended. */
export async function made(
	server: TestServer,
	tenant: Tenant,
	body: Record<string, unknown> = {},
): Promise<MadePreview> {
	const answer = await ask(server, tenant, body);
	expect(answer.status, answer.text).toBe(202);
	const job = await ended(server, answer, tenant.key);
	const { id } = answer.body.preview;
	const path = `/v1/preview-databases/${id}`;
	const { body: read } = await server.call("GET", path, { key: tenant.key });
	return { id, path, job, preview: read.preview };
}

export function ask(server: TestServer, tenant: Tenant, body: Record<string, unknown> = {}): Promise<Answer> {
	const path = `/v1/projects/${tenant.projectId}/preview-databases`;
	return server.call("POST", path, { key: tenant.key, body });
}

/** The URL that a tenant is given for a preview. */
export async function previewUrl(server: TestServer, tenant: Tenant, id: string): Promise<string> {
	const path = `/v1/preview-databases/${id}/connections`;
	const { status, body, text } = await server.call("GET", path, { key: tenant.key });
	expect(status, text).toBe(200);
	return body.connections.direct_url;
}

/** Which of a preview's database and role are in the cluster. */
export async function standing(id: string): Promise<string[]> {
	const rows = await asSuperuser<{ what: string }>(
		`select 'database' as what from pg_database where datname = '${id}'
		union all select 'role' from pg_roles where rolname = '${id}' order by what`,
	);
	return rows.map((row) => row.what);
}
