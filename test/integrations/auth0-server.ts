import { onTestFinished } from "vitest";
import { type FakeAuth0, type FakeAuth0Options, startFakeAuth0 } from "../fakes/auth0.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";

export type Auth0Server = { server: TestServer; auth0: FakeAuth0; tenant: Tenant };

/** The whole server with one ready project, and an Auth0 that it calls in place of every tenant's domain. */
export async function startAuth0Server(options: FakeAuth0Options): Promise<Auth0Server> {
	const auth0 = await startFakeAuth0(options);
	onTestFinished(() => auth0.close());
	const server = await startServerBeside(auth0);
	return { server, auth0, tenant: await server.tenant() };
}

export function startServerBeside(auth0: FakeAuth0, { keep = false } = {}): Promise<TestServer> {
	// Every name stands for a public address, which nothing is sent to.
	const resolver = async () => [{ address: "203.0.114.7", family: 4 as const }];
	const env = { AUTH0_API_URL: auth0.origin, WEBHOOK_ALLOW_PRIVATE_NETWORKS: "" };
	return startTestServer({ env, resolver, keep });
}

export function put({ server, tenant }: Pick<Auth0Server, "server" | "tenant">, body: object = {}) {
	const path = `/v1/projects/${tenant.projectId}/integrations/auth0`;
	return server.call("PUT", path, { key: tenant.key, body });
}

/** An integration with a secret that is made for it; returns the secret. */
export async function connect(started: Auth0Server, body: object = {}): Promise<string> {
	const answer = await put(started, body);
	if (answer.status !== 200) throw new Error(`PUT answered ${answer.text}`);
	return answer.body.plaintext_webhook_signing_secret;
}

/** Posts as Auth0 does: the secret stands in `Authorization`. */
export function post(
	{ server, tenant }: Pick<Auth0Server, "server" | "tenant">,
	authorization: string,
	body: string | object,
) {
	return server.call("POST", `/v1/integrations/auth0/webhook/${tenant.projectId}`, {
		key: null,
		rawBody: typeof body === "string" ? body : JSON.stringify(body),
		headers: { authorization },
	});
}
