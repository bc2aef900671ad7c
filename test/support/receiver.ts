import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { createGzip } from "node:zlib";

export type ReceivedRequest = {
	method: string;
	/** The request target: path and query. */
	url: string;
	/** Names in lower case. */
	headers: Record<string, string>;
	/** Names and values in turn, in the sender's spelling and order. */
	rawHeaders: string[];
	body: Buffer;
	at: Date;
};

/**
 * How to answer: a status; a whole answer; or one of the ways in which receivers misbehave.
 * hang: no answer. drip: headers, then a byte a second. endless: headers, then bytes for ever. reset: the socket is
 * destroyed before any answer. cut: destroyed in the middle of the body. gzip_bomb: 64 MiB of zeros, compressed.
 */
export type Reply =
	| number
	| {
			status: number;
			headers?: Record<string, string | string[]>;
			body?: string | Buffer;
			delayMs?: number;
			/** Ends the connection after the answer, although the answer said that it would be kept. */
			thenClose?: boolean;
	  }
	| "hang"
	| "drip"
	| "endless"
	| "reset"
	| "cut"
	| "gzip_bomb";

export type ReplyRule = Reply | ((request: ReceivedRequest) => Reply | Promise<Reply>);

export type Receiver = {
	/** Where it listens, without a path and without a slash at the end. */
	url: string;
	port: number;
	/** In order of arrival; each is added before it is answered. */
	requests: ReceivedRequest[];
	/** How many connections were accepted so far. */
	readonly connections: number;
	/** How many of them are open now. */
	readonly openConnections: number;
	/** The next requests are answered by these in turn, the last one goes on for ever. */
	respondWith(...rules: [ReplyRule, ...ReplyRule[]]): void;
	/** Waits for a number of requests, or until the predicate holds, and returns all requests so far. */
	waitFor(
		wanted: number | ((requests: ReceivedRequest[]) => boolean),
		timeoutMs?: number,
	): Promise<ReceivedRequest[]>;
	/** Ends every connection, also those that still wait for an answer. */
	close(): Promise<void>;
};

/** A real HTTP receiver on a free port of the loopback address; it answers 200 until told otherwise. */
export async function startReceiver(
	options: { tls?: { key: string; cert: string }; host?: string; keepAliveTimeoutMs?: number } = {},
): Promise<Receiver> {
	const host = options.host ?? "127.0.0.1";
	const requests: ReceivedRequest[] = [];
	const waiting = new Set<() => void>();
	const sockets = new Set<Socket>();
	let rules: ReplyRule[] = [200];
	let connections = 0;

	const listener: RequestListener = async (message, response) => {
		const request = await readRequest(message).catch(() => null);
		if (request === null) return;
		const rule = (rules.length > 1 ? rules.shift() : rules[0]) ?? 200;
		requests.push(request);
		for (const check of waiting) check();
		await answer(response, typeof rule === "function" ? await rule(request) : rule);
	};
	const server = options.tls ? createSecureServer(options.tls, listener) : createServer(listener);
	server.keepAliveTimeout = options.keepAliveTimeoutMs ?? 5000;
	server.on("connection", (socket: Socket) => {
		connections += 1;
		sockets.add(socket);
		socket.on("error", () => {}).once("close", () => sockets.delete(socket));
	});
	server.listen(0, host);
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	const scheme = options.tls ? "https" : "http";

	return {
		url: `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`,
		port,
		requests,
		get connections() {
			return connections;
		},
		get openConnections() {
			return sockets.size;
		},
		respondWith(...next) {
			rules = [...next];
		},
		waitFor: (wanted, timeoutMs = 120_000) => waitFor(requests, waiting, wanted, timeoutMs),
		async close() {
			const closed = once(server, "close");
			server.close();
			for (const socket of sockets) socket.destroy();
			await closed;
		},
	};
}

async function readRequest(message: IncomingMessage): Promise<ReceivedRequest> {
	const at = new Date();
	const chunks: Buffer[] = [];
	for await (const chunk of message) chunks.push(chunk as Buffer);
	const headers: Record<string, string> = {};
	for (const [name, value] of Object.entries(message.headers)) headers[name] = String(value);
	return {
		method: message.method ?? "",
		url: message.url ?? "",
		headers,
		rawHeaders: message.rawHeaders,
		body: Buffer.concat(chunks),
		at,
	};
}

async function answer(response: ServerResponse, reply: Reply): Promise<void> {
	if (typeof reply === "number") return void response.writeHead(reply).end();
	if (typeof reply === "object") {
		if (reply.delayMs !== undefined) await pause(reply.delayMs);
		const { socket } = response;
		if (reply.thenClose === true) response.once("finish", () => socket?.end());
		return void response.writeHead(reply.status, reply.headers).end(reply.body);
	}
	switch (reply) {
		case "hang":
			return;
		case "reset":
			return void response.destroy();
		case "cut":
			response.writeHead(200, { "content-length": "1000" }).write("half of it");
			return void setImmediate(() => response.destroy());
		case "gzip_bomb":
			return bomb(response);
		case "drip":
			response.writeHead(200);
			while (!response.destroyed) {
				response.write("x");
				await pause(1000);
			}
			return;
		case "endless":
			response.writeHead(200);
			while (!response.destroyed) {
				if (response.write(Buffer.alloc(16 * 1024, "x"))) await pause(0);
				else await Promise.race([once(response, "drain"), once(response, "close")]);
			}
			return;
	}
}

function bomb(response: ServerResponse): void {
	const gzip = createGzip();
	response.writeHead(200, { "content-encoding": "gzip" });
	gzip.pipe(response);
	for (let count = 0; count < 64; count += 1) gzip.write(Buffer.alloc(1024 * 1024));
	gzip.end();
}

function waitFor(
	requests: ReceivedRequest[],
	waiting: Set<() => void>,
	wanted: number | ((requests: ReceivedRequest[]) => boolean),
	timeoutMs: number,
): Promise<ReceivedRequest[]> {
	const holds = typeof wanted === "number" ? () => requests.length >= wanted : () => wanted(requests);
	const { promise, resolve, reject } = Promise.withResolvers<ReceivedRequest[]>();
	const check = () => {
		if (holds()) resolve([...requests]);
	};
	const timer = setTimeout(() => {
		reject(new Error(`waited ${timeoutMs} ms; the receiver holds ${requests.length} requests`));
	}, timeoutMs);
	waiting.add(check);
	check();
	return promise.finally(() => {
		clearTimeout(timer);
		waiting.delete(check);
	});
}

/** Self-signed, for tests only, good from 2020 until 2120: DNS receiver.test, IP 127.0.0.1. */
export const RECEIVER_TLS = {
	key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEimc8G0WmNKB3Mcu
sGbQQQ+csTHpXfxNJFOlTCUwn46hRANCAARrPSmn3ysxOJwcdNL0zgMQpfsIhvIK
JT4532KElJ1QkzxWabLrZvfCyifaKmOYbfHhzGVtil5FEBsW5ouNdiSG
-----END PRIVATE KEY-----`,
	cert: `-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIBATAKBggqhkjOPQQDAjAYMRYwFAYDVQQDDA1yZWNlaXZl
ci50ZXN0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAYMRYwFAYD
VQQDDA1yZWNlaXZlci50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaz0p
p98rMTicHHTS9M4DEKX7CIbyCiU+Od9ihJSdUJM8Vmmy62b3wson2ipjmG3x4cxl
bYpeRRAbFuaLjXYkhqNSMFAwDwYDVR0TAQH/BAUwAwEB/zAeBgNVHREEFzAVgg1y
ZWNlaXZlci50ZXN0hwR/AAABMB0GA1UdDgQWBBQat3y+clOxUWx63aEnkII1Gu/3
vTAKBggqhkjOPQQDAgNIADBFAiBasPiWY5BT3xbgBjmXpx1tI2QLOqPNBbvPFi8y
eRAYlwIhALiT8VjbarXUB8uY2rAoRUnNUIE7uUJB6RIyDGzhtNs+
-----END CERTIFICATE-----`,
};
