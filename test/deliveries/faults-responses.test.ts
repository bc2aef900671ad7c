import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";
import {
	addEndpoint,
	addOrganization,
	type Body,
	listAttempts,
	newestDelivery,
	type Owner,
	publish,
} from "./webhook-server.ts";

const mib = 1024 * 1024;
const deadlineMs = 1_000;

let server: TestServer;
let owner: Owner;

// One organization alone on the server: only then are responses of private addresses kept.
beforeAll(async () => {
	const env = { WEBHOOK_RETRY_SCHEDULE: "0", WEBHOOK_TIMEOUT_MS: String(deadlineMs) };
	server = await startTestServer({ keep: true, env });
	owner = await addOrganization(server);
});
afterAll(() => server.close());

type Peer = { url: string; connections(): number; open(): number; written(): number };

/** A peer that says whatever it likes, byte by byte, once it has heard a whole request. */
async function speaking(say: (socket: Socket) => void): Promise<Peer> {
	const sockets = new Set<Socket>();
	let [connections, closedBytes] = [0, 0];
	const listener = createServer((socket) => {
		connections += 1;
		sockets.add(socket);
		socket
			.on("error", () => undefined)
			.once("close", () => {
				closedBytes += socket.bytesWritten;
				sockets.delete(socket);
			});
		socket.once("data", () => say(socket));
	});
	listener.listen(0, "127.0.0.1");
	await once(listener, "listening");
	onTestFinished(async () => {
		listener.close();
		for (const socket of sockets) socket.destroy();
	});
	return {
		url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/`,
		connections: () => connections,
		open: () => sockets.size,
		written: () => closedBytes + [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0),
	};
}

/** Writes for as long as the other side takes it. */
function flood(socket: Socket, chunk: string | Buffer): void {
	const pump = () => {
		while (!socket.destroyed && socket.write(chunk));
	};
	socket.on("drain", pump);
	pump();
}

/** One delivery to the peer, in one attempt: what became of it. */
async function deliveredTo(peer: Peer): Promise<{ delivery: Body; attempt: Body }> {
	const endpoint = await addEndpoint(server, owner, { url: peer.url });
	await publish(server, owner, { type: "a", data: 1 });
	const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state !== "pending");
	const attempts = await listAttempts(server, owner, endpoint, delivery.id);
	expect(attempts).toHaveLength(1);
	expect(peer.connections()).toBe(1);
	await server.call("DELETE", endpoint.path, { key: owner.key });
	return { delivery, attempt: attempts[0] };
}

describe("a receiver whose answer does not end", () => {
	it.each([
		["a body of one gigabyte", `HTTP/1.1 200 OK\r\nContent-Length: ${1024 * mib}\r\n\r\n`],
		["an endless body", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"],
	])(
		"%s is cut while it is read, its connection destroyed, and counts by its status",
		async (_case, head) => {
			const peer = await speaking((socket) => {
				socket.write(head);
				flood(socket, Buffer.alloc(64 * 1024, "x"));
			});
			const { delivery, attempt } = await deliveredTo(peer);
			expect(delivery).toMatchObject({ state: "delivered", attempts: 1 });
			expect(attempt.response_body).toBe("x".repeat(16 * 1024));
			await expect.poll(peer.open).toBe(0);
			// What the sockets of both sides buffer on top of the 64 KiB that are read.
			expect(peer.written()).toBeLessThan(32 * mib);
		},
	);

	it.each([
		["a byte of its body", "HTTP/1.1 200 OK\r\n\r\n", "x", "response_too_slow"],
		["a byte of its headers", "HTTP/1.1 200 OK\r\nX-Slow: ", "x", "timeout"],
		["another 1xx answer", "", "HTTP/1.1 103 Early Hints\r\n\r\n", "timeout"],
		[
			"another trailer",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
			"X: y\r\n",
			"response_too_slow",
		],
	])("%s now and then: the one deadline of the attempt ends it", async (_case, head, drop, code) => {
		const peer = await speaking((socket) => {
			socket.write(head);
			const timer = setInterval(() => socket.write(drop), deadlineMs / 8);
			socket.once("close", () => clearInterval(timer));
		});
		const { delivery, attempt } = await deliveredTo(peer);
		expect(delivery).toMatchObject({ state: "failed", error_code: code, response_status: null });
		expect(attempt.duration_ms).toBeGreaterThanOrEqual(deadlineMs - 20);
		expect(attempt.duration_ms).toBeLessThan(3 * deadlineMs);
		await expect.poll(peer.open).toBe(0);
	});

	it.each([
		["1xx answers", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"],
		["headers", "HTTP/1.1 200 OK\r\n", `X-Big: ${"x".repeat(1000)}\r\n`],
		["one header", "HTTP/1.1 200 OK\r\nX-Big: ", "x".repeat(1000)],
		["trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", `X: ${"y".repeat(1000)}\r\n`],
	])("a flood of %s fails before its deadline, its connection destroyed", async (_case, head, drop) => {
		const peer = await speaking((socket) => {
			socket.write(head);
			flood(socket, drop.repeat(64));
		});
		const { delivery, attempt } = await deliveredTo(peer);
		expect(delivery).toMatchObject({ state: "failed", error_code: "unknown", response_status: null });
		expect(attempt.duration_ms).toBeLessThan(deadlineMs);
		await expect.poll(peer.open).toBe(0);
	});
});

describe("a receiver that answers with a gzip bomb", () => {
	it("has its bytes kept as they came, never inflated", async () => {
		// A thousandth of its contents: the 64 KiB that are read would be 64 MiB.
		const bomb = gzipSync(Buffer.alloc(256 * mib));
		expect(bomb.length).toBeGreaterThan(128 * 1024);
		const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`;
		const peer = await speaking((socket) => {
			socket.write(head);
			socket.write(bomb);
		});
		const { delivery, attempt } = await deliveredTo(peer);
		expect(delivery).toMatchObject({ state: "delivered", attempts: 1 });
		const asKept = bomb
			.subarray(0, 16 * 1024)
			.toString("utf8")
			.replaceAll("\0", "");
		expect(attempt.response_body).toBe(asKept);
		expect(Buffer.byteLength(attempt.response_body)).toBeLessThanOrEqual(16 * 1024);
	});
});

describe("a receiver that breaks HTTP or the connection", () => {
	it.each<[string, string, (socket: Socket) => void]>([
		["connection_reset", "resets the connection (RST)", (socket) => socket.resetAndDestroy()],
		["connection_reset", "closes it without a word", (socket) => socket.end()],
		["connection_reset", "closes it within the headers", (socket) => socket.end("HTTP/1.1 200 OK\r\nX-A: ")],
		[
			"connection_reset",
			"closes it within the body",
			(socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
		],
		["unknown", "speaks another protocol", (socket) => socket.end("220 mail.example ESMTP\r\n")],
		[
			"unknown",
			"sends a NUL in a header",
			(socket) => socket.end("HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\n\r\n"),
		],
		["unknown", "sends a header without a name", (socket) => socket.end("HTTP/1.1 200 OK\r\n: a\r\n\r\n")],
		[
			"unknown",
			"breaks its chunks",
			(socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
		],
	])("is recorded as %s when it %s", async (code, _what, say) => {
		const { delivery, attempt } = await deliveredTo(await speaking(say));
		expect(delivery).toMatchObject({ state: "failed", error_code: code, response_status: null });
		expect(attempt).toMatchObject({ number: 1, error_code: code, response_body: null });
	});

	it("has header values of any bytes kept in a form that can be stored and shown", async () => {
		const peer = await speaking((socket) => {
			socket.end(Buffer.from("HTTP/1.1 204 No Content\r\nX-Odd: \xff\xfe\x80\r\n\r\n", "latin1"));
		});
		const { delivery, attempt } = await deliveredTo(peer);
		expect(delivery.state).toBe("delivered");
		expect(attempt.response_headers).toEqual([["X-Odd", "\u00ff\u00fe\u0080"]]);
	});
});
