import { addDeployment } from "../deployments/add-deployment.ts";
import { type FakeClerk, startFakeClerk } from "../fakes/clerk.ts";
import { newSigningKey } from "../fakes/clerk-keys.ts";
import { type FakeNetlify, startFakeNetlify } from "../fakes/netlify.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { endedJob, newUser, receiverPath, signingSecret } from "../integrations/clerk-server.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** Signs the sessions of people at Clerk. */
export const sessionKey = newSigningKey();

export type Things = Tenant & {
	clerkOrganizationId: string;
	/** For each parameter of a path, one that is there. */
	ids: Record<string, string>;
};

export type World = {
	server: TestServer;
	clerk: FakeClerk;
	vercel: FakeVercel & { project: { id: string }; token: string };
	netlify: FakeNetlify;
	receiver: Receiver;
	/** Two organizations, each with one of everything. */
	mine: Things;
	theirs: Things;
	close(): Promise<void>;
};

/** A server with two tenants that have something behind every id of a path. Closed by the caller. */
export async function startWorld(
	env: Record<string, string> = {},
	outsides: Pick<NonNullable<Parameters<typeof startTestServer>[0]>, "log" | "resolver"> = {},
): Promise<World> {
	const clerk = await startFakeClerk({ users: 3 });
	const fakeVercel = await startFakeVercel();
	const vercel = { ...fakeVercel, project: fakeVercel.addProject(), token: fakeVercel.addToken() };
	const netlify = await startFakeNetlify();
	const receiver = await startReceiver();
	const server = await startTestServer({
		keep: true,
		...outsides,
		env: {
			CLERK_API_URL: clerk.origin,
			CLERK_JWT_KEY: sessionKey.pem,
			VERCEL_API_URL: vercel.origin,
			NETLIFY_API_URL: netlify.origin,
			...env,
		},
	});
	const outside = { server, clerk, vercel, netlify, receiver };
	return {
		...outside,
		mine: await makeThings(outside, "mine"),
		theirs: await makeThings(outside, "theirs"),
		close: async () => {
			await server.close();
			await receiver.close();
			await clerk.close();
			await vercel.close();
			await netlify.close();
		},
	};
}

/** A key of the organization with these scopes; with a project, of that project only. */
export async function addKey(
	server: TestServer,
	organizationId: string,
	body: { scopes: string[]; project_id?: string; expires_at?: string },
): Promise<{ id: string; key: string }> {
	const answer = await server.call("POST", `/v1/organizations/${organizationId}/api-keys`, {
		body: { name: "test", ...body },
	});
	if (answer.status !== 201) throw new Error(`a key was refused: ${answer.text}`);
	return { id: answer.body.api_key.id, key: answer.body.plaintext_api_key };
}

/** Waits until no job of the organization waits or runs: what follows may queue its own. */
export async function idleJobs(server: TestServer, projectId: string): Promise<void> {
	await until(async () => {
		const { body } = await server.call("GET", `/v1/projects/${projectId}/jobs?limit=250`);
		return body.jobs.every((job: { state: string }) => ["completed", "failed"].includes(job.state));
	});
}

async function makeThings(
	{ server, clerk, receiver }: Pick<World, "server" | "clerk" | "receiver">,
	name: string,
): Promise<Things> {
	const tenant = await server.tenant(name);
	const { organizationId, projectId, key } = tenant;
	const post = async (path: string, body?: unknown) => {
		const answer = await server.call("POST", path, { key, body });
		if (answer.status >= 300) throw new Error(`${path} answered ${answer.text}`);
		return answer.body;
	};
	const organization = `/v1/organizations/${organizationId}`;
	const url = `${receiver.url}/${name}`;
	const endpoint = (await post(`${organization}/webhook-endpoints`, { url })).webhook_endpoint;
	const { event } = await post(`${organization}/events`, { type: "thing.made", data: { of: name } });
	const { delivery } = await post(`${organization}/webhook-endpoints/${endpoint.id}/test`);
	const { id: keyID } = await addKey(server, organizationId, { scopes: ["jobs:read"] });
	const integration = `/v1/projects/${projectId}/integrations/clerk`;
	const connected = await post(`${integration}/connect`, {
		secret_key: clerk.secretKey,
		webhook_signing_secret: signingSecret,
	});
	await endedJob(server, tenant, connected.job.id);
	for (const other of ["auth0", "better-auth"]) {
		await server.call("PUT", `/v1/projects/${projectId}/integrations/${other}`, {
			key,
			body: { credentials: { webhook_signing_secret: signingSecret } },
		});
	}
	const inboundEventID = await receiveOne({ server, clerk }, tenant);
	const userID = await receiveUser({ server, clerk }, tenant, name);
	clerk.failNext(401);
	const { job } = await post(`${integration}/sync`);
	await endedJob(server, tenant, job.id);
	const { preview, job: made } = await post(`/v1/projects/${projectId}/preview-databases`, { name });
	await endedJob(server, tenant, made.id);
	await addDeployment(server, tenant);
	const ids = {
		orgID: organizationId,
		projectID: projectId,
		provider: "clerk",
		keyID,
		previewID: preview.id,
		jobID: job.id,
		endpointID: endpoint.id,
		deliveryID: delivery.id,
		eventID: event.id,
		inboundEventID,
		userID,
		token: "path-token",
	};
	const clerkOrganizationId = `org_${name}`;
	await server.call("PATCH", organization, { body: { clerk_organization_id: clerkOrganizationId } });
	return { ...tenant, clerkOrganizationId, ids };
}

/** A webhook of Clerk that changed nothing, and its id. */
async function receiveOne(
	{ server, clerk }: Pick<World, "server" | "clerk">,
	tenant: Tenant,
): Promise<string> {
	const signed = clerk.signedWebhook("session.created", { id: "sess_1" }, { secret: signingSecret });
	await server.call("POST", receiverPath(tenant), {
		key: null,
		rawBody: signed.body,
		headers: signed.headers,
	});
	return until(async () => {
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/events`;
		const { body } = await server.call("GET", path, { key: tenant.key });
		return body.events[0]?.id;
	});
}

/** A user that Clerk tells this tenant of, and no other; the id. */
async function receiveUser(
	{ server, clerk }: Pick<World, "server" | "clerk">,
	tenant: Tenant,
	name: string,
): Promise<string> {
	const user = newUser({ id: `user_of_${name}` });
	const signed = clerk.signedWebhook("user.created", user, { secret: signingSecret });
	await server.call("POST", receiverPath(tenant), {
		key: null,
		rawBody: signed.body,
		headers: signed.headers,
	});
	const path = `/v1/projects/${tenant.projectId}/users/${user.id}`;
	await until(async () => (await server.call("GET", path, { key: tenant.key })).status === 200);
	return user.id;
}
