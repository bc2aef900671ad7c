import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { createHolds } from "./holds.ts";
import { answerTo } from "./vercel/api.ts";
import { answerControl } from "./vercel/control.ts";
import { createHandle } from "./vercel/handle.ts";
import { install } from "./vercel/oauth.ts";
import { type Answer, createState, type FakeRequest, type State } from "./vercel/state.ts";

export type FakeVercel = Awaited<ReturnType<typeof startFakeVercel>>;

/**
 * Vercel's REST API, webhooks and installation page, as far as the server uses them: real HTTP, real state, and it
 * refuses what Vercel refuses. Where Vercel says nothing it takes the stricter side: a parameter or field that is
 * not documented is a 400. `/_control/…` does over HTTP what the handle does.
 */
export async function startFakeVercel(options: { port?: number } = {}) {
	const state = createState();
	const handle = createHandle(state);
	const holds = createHolds();
	const server = createServer((request, response) => void serve({ state, handle, holds }, request, response));
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		origin: `http://127.0.0.1:${port}`,
		...handle,
		holdNext: holds.holdNext,
		async close(): Promise<void> {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

type Fake = {
	state: State;
	handle: ReturnType<typeof createHandle>;
	holds: ReturnType<typeof createHolds>;
};

async function serve(
	{ state, handle, holds }: Fake,
	message: IncomingMessage,
	response: ServerResponse,
): Promise<void> {
	const raw = await text(message);
	const url = new URL(message.url ?? "/", "http://fake.invalid");
	const request: FakeRequest = {
		method: message.method ?? "GET",
		path: url.pathname,
		query: Object.fromEntries(url.searchParams),
		headers: message.headers,
		body: parse(raw),
	};
	if (url.pathname.startsWith("/_control/")) return write(response, await answerControl(handle, request));
	if (url.pathname === `/integrations/${state.integration.slug}/new`)
		return sendToCallback(state, request, response);
	state.requests.push(request);
	const line = `${request.method} ${request.path}`;
	await holds.pass(line, false);
	const fault = takeFault(state, request);
	if (fault === "drop") return void message.socket.destroy();
	const answer = fault === null || fault === "drop after work" ? await answerTo(state, request, raw) : fault;
	await holds.pass(line, true);
	if (fault === "drop after work") return void message.socket.destroy();
	write(response, answer);
}

/** Vercel's installation page, and the user who agrees at once. */
function sendToCallback(state: State, { query }: FakeRequest, response: ServerResponse): void {
	const teamId = [...state.teams.keys()][0] ?? null;
	const location = install(state, teamId, query.state ?? null, new Date());
	response.writeHead(302, { location: location.href }).end();
}

function takeFault(state: State, { method, path }: FakeRequest) {
	const fault = state.faults.find(({ matches }) => matches.test(`${method} ${path}`));
	if (fault === undefined) return null;
	fault.times -= 1;
	if (fault.times <= 0) state.faults.splice(state.faults.indexOf(fault), 1);
	return fault.answer;
}

function parse(raw: string): unknown {
	try {
		return JSON.parse(raw);
	} catch {
		return undefined;
	}
}

function write(response: ServerResponse, { status, body, headers, raw }: Answer): void {
	response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
	response.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)));
}

/** `node test/fakes/vercel.ts --port 4021 --token vct_demo --project web`: until it is interrupted. */
async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			port: { type: "string", default: "0" },
			token: { type: "string", default: "vct_fake" },
			project: { type: "string", default: "web" },
			"redirect-uri": { type: "string" },
		},
	});
	const fake = await startFakeVercel({ port: Number(values.port) });
	fake.integration.redirectUri = values["redirect-uri"] ?? fake.integration.redirectUri;
	fake.addToken({ token: values.token });
	const project = fake.addProject({ name: values.project });
	process.stdout.write(`${fake.origin} ${project.id} ${fake.teamId}\n`);
}

if (import.meta.main) await main();
