import pg from "pg";
import { inject } from "vitest";
import type { Answer, Tenant, TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** The URL that a tenant is given. */
export async function directUrl(server: TestServer, tenant: Tenant): Promise<string> {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/connections`, {
		key: tenant.key,
	});
	return body.connections.direct_url;
}

/** Runs statements on one connection of a customer's own. */
export async function asCustomer<Row extends pg.QueryResultRow>(
	url: string,
	...statements: string[]
): Promise<Row[]> {
	const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 20_000 });
	// The server may end it at any moment, with the role's login or with the database; the next statement throws.
	client.on("error", () => undefined);
	await client.connect();
	try {
		let rows: Row[] = [];
		for (const statement of statements) rows = (await client.query<Row>(statement)).rows;
		return rows;
	} finally {
		await client.end();
	}
}

/** The SQLSTATE with which a connection or a statement is refused; null when it is not. */
export async function refusalOf(url: string, ...statements: string[]): Promise<string | null> {
	try {
		await asCustomer(url, ...statements);
		return null;
	} catch (error) {
		return error instanceof pg.DatabaseError ? (error.code ?? "none") : String(error);
	}
}

/** One statement as the superuser of the cluster. */
export function asSuperuser<Row extends pg.QueryResultRow>(...statements: string[]): Promise<Row[]> {
	return asCustomer<Row>(inject("clusterUrl"), ...statements);
}

/** The same URL with another database. */
export function withDatabase(url: string, database: string): string {
	const changed = new URL(url);
	changed.pathname = `/${database}`;
	return changed.href;
}

/** Waits until a job has ended and returns it. */
export async function ended(server: TestServer, answer: Answer, key: string): Promise<Answer["body"]> {
	const path = `/v1/jobs/${answer.body.job.id}`;
	return until(async () => {
		const { body } = await server.call("GET", path, { key });
		return (body.job.state === "completed" || body.job.state === "failed") && body.job;
	});
}

/** Types of the events that tell of the project, oldest first. */
export async function eventTypes(server: TestServer, tenant: Tenant): Promise<string[]> {
	const rows = await server.sql<{ type: string }>(
		"select type from events where payload like $1 order by created_at, id",
		[`%${tenant.projectId}%`],
	);
	return rows.map((row) => row.type);
}

/** Actions in a project's audit, newest first. */
export async function auditActions(server: TestServer, tenant: Tenant): Promise<string[]> {
	const path = `/v1/projects/${tenant.projectId}/audit-events?limit=250`;
	const { body } = await server.call("GET", path);
	return body.audit_events.map((event: { action: string }) => event.action);
}
