import { type FakeNetlify, startFakeNetlify } from "../fakes/netlify.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";

export type OAuthServer = {
	server: TestServer;
	vercel: FakeVercel;
	netlify: FakeNetlify;
	tenant: Tenant;
	/** Everything that was logged, errors with their causes. */
	logged: () => string;
	close(): Promise<void>;
};

/** The whole server with one ready project, its own clients at a Vercel and a Netlify that it talks to. */
export async function startOAuthServer(env: Record<string, string> = {}): Promise<OAuthServer> {
	const vercel = await startFakeVercel();
	const netlify = await startFakeNetlify();
	const { log, lines } = createMemoryLog();
	const server = await startTestServer({
		keep: true,
		env: { ...clientEnv(vercel, netlify), ...env },
		log,
	});
	vercel.integration.redirectUri = callbackOf(server, "vercel");
	return {
		server,
		vercel,
		netlify,
		tenant: await server.tenant(),
		logged: () => lines.join("\n"),
		close: async () => {
			await server.close();
			await netlify.close();
			await vercel.close();
		},
	};
}

/** What a replica is started with to be the same server. */
export function clientEnv(vercel: FakeVercel, netlify: FakeNetlify): Record<string, string> {
	return {
		VERCEL_API_URL: vercel.origin,
		VERCEL_CLIENT_ID: vercel.integration.clientId,
		VERCEL_CLIENT_SECRET: vercel.integration.clientSecret,
		VERCEL_INTEGRATION_SLUG: vercel.integration.slug,
		NETLIFY_API_URL: netlify.origin,
		NETLIFY_CLIENT_ID: netlify.oauth.clientId,
		NETLIFY_CLIENT_SECRET: netlify.oauth.clientSecret,
	};
}

export function callbackOf(server: Pick<TestServer, "url">, provider: string): string {
	return `${server.url}/v1/integrations/${provider}/oauth/callback`;
}

export type Started = { state: string; cookie: string; authorizeUrl: URL };

/** Begins a flow with the tenant's key, as the dashboard does. */
export async function start(
	{ server }: Pick<OAuthServer, "server">,
	provider: string,
	{ key, projectId }: Pick<Tenant, "key" | "projectId">,
): Promise<Started> {
	const path = `/v1/integrations/${provider}/oauth/start?project_id=${projectId}`;
	const { status, body, headers } = await server.call("GET", path, { key });
	if (status !== 200) throw new Error(`start answered ${status}: ${JSON.stringify(body)}`);
	const authorizeUrl = new URL(body.authorize_url);
	const [cookie = ""] = (headers.get("set-cookie") ?? "").split(";");
	return { state: authorizeUrl.searchParams.get("state") ?? "", cookie, authorizeUrl };
}

/** The user agrees at the platform: what the browser is sent back with. */
export function agree(
	{ server, vercel, netlify }: Pick<OAuthServer, "server" | "vercel" | "netlify">,
	provider: string,
	state: string | null,
): URLSearchParams {
	if (provider === "vercel") return vercel.install(state).searchParams;
	const code = netlify.issueCode(callbackOf(server, "netlify"));
	return new URLSearchParams({ code, ...(state === null ? {} : { state }) });
}

export type BrowserAnswer = { status: number; location: URL | null; text: string; headers: Headers };

/** A browser follows the platform's redirect to us, with the cookie if it has it. */
export async function comeBack(
	{ server }: Pick<OAuthServer, "server">,
	provider: string,
	query: URLSearchParams | Record<string, string>,
	cookie?: string,
): Promise<BrowserAnswer> {
	const url = `${callbackOf(server, provider)}?${new URLSearchParams(query)}`;
	return browse(url, { headers: cookie === undefined ? {} : { cookie: `other=1; ${cookie}` } });
}

/** A person presses a button on the page that they were shown. */
export async function press(page: string, decision: "connect" | "cancel"): Promise<BrowserAnswer> {
	const action = /action="([^"]+)"/.exec(page)?.[1];
	if (!action) throw new Error(`There is no form on the page: ${page}`);
	return browse(action, {
		method: "POST",
		body: new URLSearchParams({ confirmation: confirmationOf(page), decision }),
	});
}

export function confirmationOf(page: string): string {
	return /name="confirmation" value="([^"]+)"/.exec(page)?.[1] ?? "";
}

export async function browse(url: string, init: RequestInit = {}): Promise<BrowserAnswer> {
	const response = await fetch(url, { redirect: "manual", ...init });
	const location = response.headers.get("location");
	const { status, headers } = response;
	return { status, location: location ? new URL(location) : null, text: await response.text(), headers };
}

/** The tenant's integration with a provider as the API shows it, or undefined. */
export async function integrationOf(
	{ server }: Pick<OAuthServer, "server">,
	tenant: Tenant,
	provider: string,
) {
	const path = `/v1/projects/${tenant.projectId}/integrations`;
	const { body } = await server.call("GET", path, { key: tenant.key });
	return body.integrations.find((each: { provider: string }) => each.provider === provider);
}
