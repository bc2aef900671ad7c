import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { type NetlifyDeploy, netlifyDeploy } from "../fixtures/netlify/deploys.ts";
import { createHolds } from "./holds.ts";
import { answerControl } from "./netlify/control.ts";
import { answerEnv } from "./netlify/env.ts";
import { answerHooks, createHookService, type HookService } from "./netlify/hooks.ts";
import { answerToken, issueCode } from "./netlify/oauth.ts";
import { answerSites } from "./netlify/sites.ts";
import {
	type Answer,
	createNetlifyState,
	type Fault,
	type NetlifyOptions,
	type NetlifyState,
	newId,
	refusal,
	type Token,
} from "./netlify/state.ts";

export type FakeNetlifyOptions = NetlifyOptions & {
	/** 0, the default, takes a free one. */
	port?: number;
	/** How long it waits before it tries a delivery again. */
	retryDelayMs?: number;
	/** Builds that a call starts end by themselves, ready, as soon as they have begun. */
	endsBuilds?: boolean;
};

export type FakeNetlify = Awaited<ReturnType<typeof startFakeNetlify>>;

const basePath = "/api/v1";
/** Calls that a token may make in a minute. */
const callsPerMinute = 500;

/**
 * Netlify's REST API (@netlify/open-api 2.60.0), its hook service and its token endpoint, as far as the server uses
 * them: real HTTP, real state, and it refuses what Netlify refuses. Where no source says what Netlify does it takes
 * the stricter side, or plays both (`quirks`).
 */
export async function startFakeNetlify(options: FakeNetlifyOptions = {}) {
	const state = createNetlifyState(options);
	const service = createHookService(state, options.retryDelayMs ?? 20);
	state.emit = service.emit;
	const holds = createHolds();
	const endsBuilds = options.endsBuilds ?? false;
	const fake = { state, service, holds, endsBuilds, callsThisMinute: new Map() };
	const server = createServer((request, response) => void serve(fake, request, response));
	// A client that is slow to ask again finds its connection open.
	server.keepAliveTimeout = 120_000;
	await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
	const [site] = state.sites.values();
	const [token] = state.tokens.keys();
	if (site === undefined || token === undefined) throw new Error("The fake has no site.");
	return {
		origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		token,
		site,
		...service,
		...state,
		...faultHooks(state),
		holdNext: holds.holdNext,
		report: (changes: Partial<NetlifyDeploy>, event?: string) =>
			report(state, { site_id: site.id, ...changes }, event),
		issueCode: (redirectUri: string) => issueCode(state, redirectUri, token),
		/** Requests that change something, in order: method and path. */
		writes: () =>
			state.exchanges.flatMap(({ method, path }) => (method === "GET" ? [] : [`${method} ${path}`])),
		/** The values of one variable as its site's code would find them, by context. */
		values: (key: string, ofSite = site) => valuesOf(state, key, ofSite),
		async close(): Promise<void> {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

function faultHooks(state: NetlifyState) {
	return {
		/** The next `times` requests are answered 429, with the moment of the reset and, when given, a `Retry-After`. */
		rateLimitNext(times: number, wait: { retryAfter?: string; resetSeconds?: number } = {}): void {
			state.faults.push({ times, answer: rateLimited(wait) });
		},
		/** The next `times` requests (of that method and path, when named) fail with that status. */
		failNext(status: number, where: Partial<Omit<Fault, "answer">> = {}): void {
			state.faults.push({ times: 1, ...where, answer: refusal(status, "Something went wrong") });
		},
		/** The next requests are answered 200 with that text, whatever it is. */
		garbleNext(text: string, where: Partial<Omit<Fault, "answer">> = {}): void {
			state.faults.push({ times: 1, ...where, answer: { status: 200, text } });
		},
		revokeToken: (token: string): boolean => state.tokens.delete(token),
		dropHook: (id: string): boolean => state.hooks.delete(id),
		disableHook(id: string): void {
			const hook = state.hooks.get(id);
			if (hook === undefined) throw new Error(`The fake has no hook ${id}.`);
			hook.disabled = true;
		},
	};
}

function rateLimited({
	retryAfter,
	resetSeconds = 30,
}: {
	retryAfter?: string;
	resetSeconds?: number;
}): Answer {
	const reset = String(Math.ceil(Date.now() / 1000) + resetSeconds);
	return {
		...refusal(429, "API rate limit exceeded"),
		headers: {
			"x-ratelimit-limit": String(callsPerMinute),
			"x-ratelimit-remaining": "0",
			"x-ratelimit-reset": reset,
			...(retryAfter === undefined ? {} : { "retry-after": retryAfter }),
		},
	};
}

/** What happens at Netlify: a deploy begins or goes on. It is listed from then on, and the event goes out. */
function report(state: NetlifyState, changes: Partial<NetlifyDeploy>, event?: string): NetlifyDeploy {
	const now = new Date().toISOString();
	const index = state.deploys.findIndex((deploy) => deploy.id === changes.id);
	const previous = state.deploys[index] ?? netlifyDeploy({ id: newId(), created_at: now, ...changes });
	const deploy: NetlifyDeploy = { ...previous, updated_at: now, ...changes };
	if (index >= 0) state.deploys[index] = deploy;
	else state.deploys.unshift(deploy);
	state.emit(event ?? eventOf(deploy), deploy);
	return deploy;
}

function eventOf(deploy: NetlifyDeploy): string {
	if (deploy.state === "ready") return "deploy_created";
	return deploy.state === "error" ? "deploy_failed" : "deploy_building";
}

function valuesOf(state: NetlifyState, key: string, site: { id: string; accountId: string }) {
	const variable = state.variables.get(`${site.accountId}/${site.id}`)?.get(key);
	if (variable === undefined) return null;
	return Object.fromEntries(
		variable.values.map((value) => [
			value.context_parameter === undefined ? value.context : `${value.context}:${value.context_parameter}`,
			value.value,
		]),
	);
}

type Fake = {
	state: NetlifyState;
	service: HookService;
	holds: ReturnType<typeof createHolds>;
	endsBuilds: boolean;
	callsThisMinute: Map<string, number>;
};

async function serve(fake: Fake, request: IncomingMessage, response: ServerResponse): Promise<void> {
	const url = new URL(request.url ?? "/", "http://fake.invalid");
	const method = request.method ?? "GET";
	const query = Object.fromEntries(url.searchParams);
	const body = await readBody(request);
	const path = url.pathname;
	const isControl = path.startsWith("/_control/");
	await fake.holds.pass(`${method} ${path}`, false);
	const answer = isControl
		? answerControl(fake.state, { method, path, body }, (changes, event) =>
				report(fake.state, changes, event),
			)
		: (takeFault(fake.state, method, path) ?? (await answerTo(fake, { request, method, path, query, body })));
	if (!isControl) {
		const { headers } = request;
		fake.state.exchanges.push({
			method,
			path,
			query,
			headers,
			body,
			status: answer.status,
			answer: answer.body,
		});
	}
	await fake.holds.pass(`${method} ${path}`, true);
	response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
	response.end(answer.text ?? (answer.body === undefined ? undefined : JSON.stringify(answer.body)));
}

async function readBody(request: IncomingMessage): Promise<unknown> {
	const chunks: Buffer[] = [];
	for await (const chunk of request) chunks.push(chunk as Buffer);
	const text = Buffer.concat(chunks).toString("utf8");
	if (text === "") return undefined;
	if (request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded"))
		return Object.fromEntries(new URLSearchParams(text));
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return undefined;
	}
}

function takeFault(state: NetlifyState, method: string, path: string): Answer | null {
	const fault = state.faults.find(
		(each) => (each.method ?? method) === method && (each.path?.test(path) ?? true),
	);
	if (fault === undefined) return null;
	if (fault.after) {
		fault.after -= 1;
		return null;
	}
	fault.times -= 1;
	if (fault.times <= 0) state.faults.splice(state.faults.indexOf(fault), 1);
	return fault.answer;
}

type Call = {
	request: IncomingMessage;
	method: string;
	path: string;
	query: Record<string, string>;
	body: unknown;
};

async function answerTo(fake: Fake, call: Call): Promise<Answer> {
	const { state } = fake;
	if (call.path === "/oauth/token" && call.method === "POST")
		return answerToken(state, (call.body ?? {}) as Record<string, unknown>);
	if (!call.path.startsWith(`${basePath}/`)) return refusal(404, "Not Found");
	const token = authenticate(fake, call);
	if ("status" in token) return token;
	const allows = (siteId: string) => {
		const site = state.sites.get(siteId);
		if (site === undefined || !token.accountIds.includes(site.accountId)) return "no" as const;
		return token.canWrite ? ("write" as const) : ("read" as const);
	};
	const [first = "", ...rest] = call.path
		.slice(basePath.length + 1)
		.split("/")
		.map(decodeURIComponent);
	const { method, query, body } = call;
	if (first === "hooks") return answerHooks(state, fake.service, { method, rest, query, body, allows });
	if (first === "accounts" && rest[1] === "env") {
		const [accountId = "", , key = null, , valueId = null] = rest;
		if (!token.accountIds.includes(accountId)) return refusal(404, "Not Found");
		if (method !== "GET" && !token.canWrite) return refusal(403, "Forbidden");
		return answerEnv(state, { method, accountId, siteId: query.site_id, key, valueId, body });
	}
	return answerSites(state, { method, first, rest, query, token, allows, report: reportOf(fake) });
}

/** The token of a call that Netlify would read, or its refusal. */
function authenticate({ state, callsThisMinute }: Fake, { request, body }: Call): Token | Answer {
	const bearer = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
	const token = state.tokens.get(bearer);
	if (token === undefined || (token.expiresAtMs ?? Number.POSITIVE_INFINITY) <= Date.now())
		return refusal(401, "Access Denied");
	const minute = Math.floor(Date.now() / 60_000);
	const count = callsThisMinute.get(`${bearer} ${minute}`) ?? 0;
	callsThisMinute.set(`${bearer} ${minute}`, count + 1);
	if (count >= callsPerMinute)
		return rateLimited({ resetSeconds: 60 - (Math.floor(Date.now() / 1000) % 60) });
	const isJson = request.headers["content-type"]?.includes("application/json") ?? false;
	return body !== undefined && !isJson ? refusal(415, "Unsupported Media Type") : token;
}

/** Builds that were asked for by a call begin at once; some fakes end them too. */
function reportOf(fake: Fake) {
	return (changes: Partial<NetlifyDeploy>): NetlifyDeploy => {
		const deploy = report(fake.state, changes);
		if (fake.endsBuilds) setImmediate(() => report(fake.state, { id: deploy.id, state: "ready" }));
		return deploy;
	};
}

/** `node test/fakes/netlify.ts --port 4012 --token nfp_demo --plan free`: until it is interrupted. */
async function main(): Promise<void> {
	const { values } = parseArgs({
		options: {
			port: { type: "string", default: "0" },
			token: { type: "string", default: "nfp_fake" },
			plan: { type: "string", default: "pro" },
			"ends-builds": { type: "boolean", default: false },
		},
	});
	const fake = await startFakeNetlify({
		port: Number(values.port),
		token: values.token,
		plan: values.plan === "free" ? "free" : "pro",
		endsBuilds: values["ends-builds"],
	});
	process.stdout.write(`${fake.origin} ${fake.site.id}\n`);
}

if (import.meta.main) await main();
