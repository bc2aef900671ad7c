import { Agent, type Dispatcher } from "undici";
import type { AddressGuard } from "./address-guard.ts";
import { guardedConnector } from "./guarded-connector.ts";
import {
	failureOf,
	notHttp,
	type SendErrorCode,
	type SendFailure,
	timedOut,
	tooSlow,
	unusableUrl,
} from "./send-failures.ts";

export type { SendErrorCode };

export type SendRequest = { url: string; headers: Record<string, string>; body: Buffer };

export type SendOutcome =
	| {
			kind: "answered";
			status: number;
			/** In the receiver's spelling and order; a name may come more than once. */
			headers: [name: string, value: string][];
			/** The first 16 KiB, as they came: never decompressed, any bytes. */
			body: Buffer;
			durationMs: number;
			/** `allowed` as soon as one open connection to this origin goes to an allowlisted private address. */
			addressVerdict: "public" | "allowed";
	  }
	| ({ kind: "failed"; durationMs: number } & SendFailure);

export type Sender = {
	/** Posts once and never rejects. Nothing is retried and no redirect is followed. */
	send(request: SendRequest): Promise<SendOutcome>;
	/** Lets the requests in flight end, each within its deadline, then closes every connection. */
	close(): Promise<void>;
};

const bodyKeptBytes = 16 * 1024;
const bodyReadBytesMax = 64 * 1024;
const headerBytesMax = 16 * 1024;
const idleConnectionMs = 4000;
const idleConnectionMaxMs = 60_000;
/** 1xx answers before the real one. A flood of them would keep the parser busy until the deadline. */
const interimAnswersMax = 16;

/**
 * Posts to addresses that tenants name. One deadline, counted from `send`, covers DNS, connect, TLS, headers and
 * body; an answer counts by its status once its headers are there and its body ends or passes 64 KiB. Connections
 * are kept alive, and all of them pass the guard; plain http goes only to allowlisted addresses. A request that met
 * a kept connection while the receiver closed it fails as `connection_reset`: undici rewrites a request only while
 * none of it is written, and of one that is written nobody can say whether the receiver read it. Keep the requests
 * in flight to one origin at or below `connectionsPerOriginMax`: those above wait inside their deadline.
 */
export function createSender(options: {
	guard: AddressGuard;
	deadlineMs: number;
	connectionsPerOriginMax: number;
	/** Certificate authorities instead of the system's (PEM). */
	ca?: string | Buffer;
}): Sender {
	const privateOrigins = new Map<string, number>();
	const agent = new Agent({
		connect: guardedConnector({
			guard: options.guard,
			timeoutMs: options.deadlineMs,
			...(options.ca === undefined ? {} : { ca: options.ca }),
			onPrivate: (origin, socket) => countWhileOpen(privateOrigins, origin, socket),
		}),
		connections: options.connectionsPerOriginMax,
		pipelining: 1,
		allowH2: false,
		keepAliveTimeout: idleConnectionMs,
		keepAliveMaxTimeout: idleConnectionMaxMs,
		maxHeaderSize: headerBytesMax,
		// The one timer of each request replaces both.
		headersTimeout: 0,
		bodyTimeout: 0,
	});
	const verdictOf = (origin: string) => (privateOrigins.has(origin) ? "allowed" : "public");
	return {
		send: (request) => exchange(agent, request, options.deadlineMs, verdictOf),
		close: () => agent.close(),
	};
}

function exchange(
	agent: Agent,
	request: SendRequest,
	deadlineMs: number,
	verdictOf: (origin: string) => "public" | "allowed",
): Promise<SendOutcome> {
	const startedAt = performance.now();
	const elapsedMs = () => Math.round(performance.now() - startedAt);
	const url = URL.parse(request.url);
	if (url === null) return Promise.resolve({ kind: "failed", ...unusableUrl, durationMs: elapsedMs() });
	const { origin } = url;

	return new Promise((resolve) => {
		let controller: Dispatcher.DispatchController | null = null;
		let answer: Answer | null = null;
		let settled = false;
		let interim = 0;
		const timer = setTimeout(() => {
			fail(answer === null ? timedOut : tooSlow);
			controller?.abort(new Error("deadline passed"));
		}, deadlineMs);

		function settle(outcome: SendOutcome): void {
			if (settled) return;
			settled = true;
			clearTimeout(timer);
			resolve(outcome);
		}
		function fail(failure: SendFailure): void {
			settle({ kind: "failed", ...failure, durationMs: elapsedMs() });
		}
		function succeed({ status, headers, verdict, kept }: Answer): void {
			const body = Buffer.concat(kept);
			settle({ kind: "answered", status, headers, body, durationMs: elapsedMs(), addressVerdict: verdict });
		}

		const handler: Dispatcher.DispatchHandler = {
			onRequestStart(started) {
				// Its deadline passed while it waited for a connection: nothing of it is written.
				if (settled) throw new Error("deadline passed");
				controller = started;
			},
			onResponseStart({ rawHeaders }, status) {
				if (status < 200) {
					interim += 1;
					if (interim <= interimAnswersMax) return;
					fail(notHttp);
					throw new Error("too many interim answers");
				}
				answer = { status, headers: pairsOf(rawHeaders), verdict: verdictOf(origin), kept: [], readBytes: 0 };
			},
			onResponseData(reading, chunk) {
				if (answer === null || settled || keep(answer, chunk)) return;
				succeed(answer);
				reading.abort(new Error("answer cut"));
			},
			onResponseEnd() {
				if (answer !== null) succeed(answer);
			},
			onResponseError(_controller, error) {
				if (!settled) fail(failureOf(error));
			},
		};
		agent.dispatch(
			{
				origin,
				path: url.pathname + url.search,
				method: "POST",
				headers: request.headers,
				body: request.body,
			},
			handler,
		);
	});
}

type Answer = {
	status: number;
	headers: [string, string][];
	verdict: "public" | "allowed";
	kept: Buffer[];
	readBytes: number;
};

/** Copies what is kept of a chunk, because a slice would hold the socket's whole buffer. False above the cap. */
function keep(answer: Answer, chunk: Buffer): boolean {
	const room = bodyKeptBytes - answer.readBytes;
	if (room > 0) answer.kept.push(Buffer.from(chunk.subarray(0, room)));
	answer.readBytes += chunk.length;
	return answer.readBytes <= bodyReadBytesMax;
}

function pairsOf(raw: Dispatcher.DispatchController["rawHeaders"]): [string, string][] {
	const pairs: [string, string][] = [];
	if (!Array.isArray(raw)) return pairs;
	for (let index = 0; index + 1 < raw.length; index += 2) {
		pairs.push([textOf(raw[index]), textOf(raw[index + 1])]);
	}
	return pairs;
}

function textOf(part: Buffer | string | undefined): string {
	return typeof part === "string" ? part : (part?.toString("latin1") ?? "");
}

function countWhileOpen(
	counts: Map<string, number>,
	origin: string,
	socket: { once(event: "close", listener: () => void): unknown },
): void {
	counts.set(origin, (counts.get(origin) ?? 0) + 1);
	socket.once("close", () => {
		const left = (counts.get(origin) ?? 1) - 1;
		if (left === 0) counts.delete(origin);
		else counts.set(origin, left);
	});
}
