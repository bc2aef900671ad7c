import { randomBytes } from "node:crypto";
import pg from "pg";
import { onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { type FakeClerk, startFakeClerk } from "../fakes/clerk.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

export type ClerkServer = { server: TestServer; clerk: FakeClerk; tenant: Tenant };

export const signingSecret = `whsec_${randomBytes(32).toString("base64")}`;

/** The whole server with one ready project, and a Clerk of that many users that it talks to. */
export async function startClerkServer(
	users: number,
	env: Record<string, string> = {},
): Promise<ClerkServer> {
	const clerk = await startFakeClerk({ users });
	onTestFinished(() => clerk.close());
	const server = await startTestServer({ env: { CLERK_API_URL: clerk.origin, ...env } });
	return { server, clerk, tenant: await server.tenant() };
}

/** Connects the tenant's project to Clerk and waits for the end of the backfill. Returns the integration. */
export async function connect({ server, clerk, tenant }: ClerkServer) {
	const { status, body } = await server.call(
		"POST",
		`/v1/projects/${tenant.projectId}/integrations/clerk/connect`,
		{
			key: tenant.key,
			body: { secret_key: clerk.secretKey, webhook_signing_secret: signingSecret },
		},
	);
	if (status !== 201) throw new Error(`connect answered ${status}`);
	await endedJob(server, tenant, body.job.id);
	return body.integration;
}

export async function endedJob(server: TestServer, tenant: Tenant, id: string) {
	return until(async () => {
		const { body } = await server.call("GET", `/v1/jobs/${id}`, { key: tenant.key });
		return ["completed", "failed"].includes(body.job.state) ? body.job : null;
	});
}

/** Waits until a backfill has kept that it did so many users; the next page is asked for before that. */
export async function keptProgress(server: TestServer, jobId: string, count: number): Promise<void> {
	await until(async () => {
		const [row] = await server.sql("select progress from jobs where id = $1::uuid", [toUuid(jobId)]);
		return row?.progress.count === count;
	});
}

export async function getIntegration(server: TestServer, tenant: Tenant) {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/integrations`, {
		key: tenant.key,
	});
	return body.integrations[0] ?? null;
}

/** One statement in the project's own database, with the credentials that the customer is given. */
export async function projectSql(
	server: TestServer,
	tenant: Tenant,
	text: string,
	values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
	const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/connections`, {
		key: tenant.key,
	});
	const client = new pg.Client({ connectionString: body.connections.direct_url });
	await client.connect();
	try {
		return (await client.query(text, values)).rows;
	} finally {
		await client.end();
	}
}

export function receiverPath(tenant: Pick<Tenant, "projectId">): string {
	return `/v1/integrations/clerk/webhook/${tenant.projectId}`;
}

type Delivery = { headers: Record<string, string>; body: string };

export function deliver(server: TestServer, tenant: Tenant, { headers, body }: Delivery) {
	return server.call("POST", receiverPath(tenant), { key: null, rawBody: body, headers });
}

/** Signs with the right secret unless told otherwise, and delivers. */
export function send(
	{ server, clerk, tenant }: ClerkServer,
	type: string,
	data: object,
	how: { id?: string; at?: Date } = {},
) {
	return deliver(server, tenant, clerk.signedWebhook(type, data, { secret: signingSecret, ...how }));
}

/** Waits until no received webhook waits any more, and returns them all, oldest first. */
export async function settledInbound(server: TestServer, count: number) {
	return until(async () => {
		const rows = await server.sql<{ id: string; state: string; error: string | null; type: string }>(
			"select id, state, error, type from inbound_webhooks order by id",
		);
		return rows.length >= count && rows.every((row) => row.state !== "received") ? rows : null;
	});
}

/** The user events that were published, oldest first: type and data. */
export async function userEvents(server: TestServer, tenant: Tenant) {
	const rows = await server.sql<{ type: string; payload: string }>(
		`select e.type, e.payload from events e join projects p on p.id = e.project_id
		where e.type like 'user.%' and p.organization_id = e.organization_id order by e.id`,
	);
	const events = rows.map((row) => ({ type: row.type, ...JSON.parse(row.payload) }));
	return events.filter((event) => event.data.project_id === tenant.projectId);
}

/** A Clerk user with a fresh id, changed at the given moment. */
export function newUser(changes: Record<string, unknown> = {}) {
	const id = `user_${randomBytes(6).toString("hex")}`;
	return {
		id,
		object: "user",
		primary_email_address_id: "idn_1",
		email_addresses: [{ id: "idn_1", email_address: `${id}@example.com` }],
		first_name: "Ada",
		last_name: "Brandt",
		username: null,
		image_url: "https://images.example.com/ada.png",
		private_metadata: { salary: "never-to-be-stored" },
		public_metadata: { plan: "pro" },
		created_at: 1_760_000_000_000,
		updated_at: 1_760_000_000_000,
		last_sign_in_at: null,
		...changes,
	};
}
