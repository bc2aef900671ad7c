import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createSender, type SendOutcome } from "../../src/platform/sender.ts";
import { startReceiver } from "../support/receiver.ts";
import { closeAfterTest, failureTo, loopback, post, receiving, sender } from "../support/sending.ts";

describe("a request", () => {
	it("reaches the receiver byte for byte, with its headers as they are spelled", async () => {
		const receiver = await receiving();
		const body = Buffer.from([0x00, 0xff, 0xfe, 0x7b, 0x0a, 0x00]);
		const outcome = await sender().send({
			url: `${receiver.url}/hooks/a%20b?x=1&y=%2F#part`,
			headers: { "Content-Type": "application/json", "X-CapyDB-Event": "job.completed" },
			body,
		});
		expect(outcome).toMatchObject({ kind: "answered", status: 200, addressVerdict: "allowed" });
		const [received] = receiver.requests;
		expect(received).toMatchObject({ method: "POST", url: "/hooks/a%20b?x=1&y=%2F" });
		expect(received?.body.equals(body)).toBe(true);
		expect(received?.rawHeaders).toContain("X-CapyDB-Event");
		expect(received?.headers["content-length"]).toBe("6");
		expect(received?.headers).not.toHaveProperty("accept-encoding");
		expect(received?.headers).not.toHaveProperty("user-agent");
	});

	it("may have an empty body", async () => {
		const receiver = await receiving();
		await sender().send(post(receiver.url, { body: Buffer.alloc(0) }));
		expect(receiver.requests[0]?.headers["content-length"]).toBe("0");
	});

	it.each([
		["a line break", { "X-A": "one\r\nX-B: two" }],
		["a NUL", { "X-A": "one\u0000two" }],
		["a character beyond Latin-1", { "X-A": "€" }],
		["a name that is no token", { "X A": "one" }],
		["a header that HTTP reserves", { "transfer-encoding": "chunked" }],
	])("with %s in a header fails as unknown and is not sent", async (_case, headers) => {
		const receiver = await receiving();
		const outcome = await sender().send(post(receiver.url, { headers }));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "unknown" });
		expect(receiver.requests).toEqual([]);
	});

	it.each(["", "not a url", "ftp://127.0.0.1/", "https://"])("to %j fails as unknown", async (url) => {
		expect(await sender().send(post(url))).toMatchObject({ kind: "failed", errorCode: "unknown" });
	});
});

describe("an answer", () => {
	it("keeps the spelling, the order and repeated names of its headers", async () => {
		const receiver = await receiving();
		receiver.respondWith({
			status: 202,
			headers: { "X-One": "1", "Set-Cookie": ["a=1", "b=2"] },
			body: "ok",
		});
		const outcome = await answered(sender().send(post(receiver.url)));
		expect(outcome.headers.slice(0, 3)).toEqual([
			["X-One", "1"],
			["Set-Cookie", "a=1"],
			["Set-Cookie", "b=2"],
		]);
		expect(outcome.body.toString()).toBe("ok");
		expect(outcome.durationMs).toBeGreaterThanOrEqual(0);
	});

	it("keeps the first 16 KiB of its body, as they came", async () => {
		const receiver = await receiving();
		const body = Buffer.alloc(40_000, "\u0000\u00ff", "latin1");
		receiver.respondWith({ status: 500, body });
		const outcome = await answered(sender().send(post(receiver.url)));
		expect(outcome.status).toBe(500);
		expect(outcome.body.equals(body.subarray(0, 16 * 1024))).toBe(true);
	});

	it.each([301, 302, 303, 307, 308])("%i is returned, never followed", async (status) => {
		const [receiver, other] = [await receiving(), await receiving()];
		receiver.respondWith({ status, headers: { location: other.url } });
		expect(await sender().send(post(receiver.url))).toMatchObject({ kind: "answered", status });
		expect(other.requests).toEqual([]);
	});

	it("that is endless counts by its status, and its connection is closed after 64 KiB", async () => {
		const receiver = await receiving();
		receiver.respondWith("endless", 200);
		const client = sender();
		const outcome = await answered(client.send(post(receiver.url)));
		expect([outcome.status, outcome.body.length]).toEqual([200, 16 * 1024]);
		expect(await client.send(post(receiver.url))).toMatchObject({ status: 200 });
		expect(receiver.connections).toBe(2);
	});

	it("that is compressed is not decompressed", async () => {
		const receiver = await receiving();
		receiver.respondWith("gzip_bomb");
		const before = process.memoryUsage().rss;
		const outcome = await answered(sender().send(post(receiver.url)));
		expect(outcome.body.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
		expect(outcome.body.length).toBeLessThanOrEqual(16 * 1024);
		expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
	});
});

describe("an answer out of the ordinary", () => {
	it("may be preceded by informational ones", async () => {
		const url = await speaking(
			"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		);
		expect(await sender().send(post(url))).toMatchObject({ kind: "answered", status: 204 });
	});

	it.each([
		["is not HTTP", "SSH-2.0-OpenSSH_9.9\r\n"],
		["has headers of more than 16 KiB", `HTTP/1.1 200 OK\r\nX-Big: ${"x".repeat(20_000)}\r\n\r\n`],
		[
			"switches protocols unasked",
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
		],
	])("that %s fails as unknown", async (_case, text) => {
		const outcome = await sender().send(post(await speaking(text)));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "unknown" });
	});
});

describe("the deadline", () => {
	it("ends a request that is never answered as timeout", async () => {
		const receiver = await receiving();
		receiver.respondWith("hang");
		const outcome = await sender({ deadlineMs: 200 }).send(post(receiver.url));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "timeout" });
		expect(outcome.durationMs).toBeGreaterThanOrEqual(190);
		expect(outcome.durationMs).toBeLessThan(1000);
	});

	it("ends an answer that drips as response_too_slow", async () => {
		const receiver = await receiving();
		receiver.respondWith("drip");
		const outcome = await sender({ deadlineMs: 300 }).send(post(receiver.url));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "response_too_slow" });
		expect(outcome.durationMs).toBeLessThan(1000);
	});

	it("covers DNS", async () => {
		const guard = createAddressGuard({ allow: "any", resolver: () => new Promise(() => {}) });
		const outcome = await sender({ guard, deadlineMs: 200 }).send(post("https://slow.example/"));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "timeout" });
	});

	it("covers TLS", async () => {
		const url = await speaking("");
		const outcome = await sender({ deadlineMs: 200 }).send(post(url.replace("http:", "https:")));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "timeout" });
	});

	it("leaves nothing written for a request that waited too long for a connection", async () => {
		const receiver = await receiving();
		receiver.respondWith("hang", 200);
		const client = sender({ deadlineMs: 200, connectionsPerOriginMax: 1 });
		const outcomes = await Promise.all([client.send(post(receiver.url)), client.send(post(receiver.url))]);
		expect(outcomes.map((outcome) => outcome.kind)).toEqual(["failed", "failed"]);
		expect(await client.send(post(receiver.url))).toMatchObject({ kind: "answered" });
		expect(receiver.requests.length).toBe(2);
	});
});

describe("a failure", () => {
	it("to connect is connection_refused", async () => {
		const receiver = await startReceiver();
		await receiver.close();
		expect(await failureTo(receiver.url)).toBe("connection_refused");
	});

	it("of the connection before the answer is connection_reset", async () => {
		const receiver = await receiving();
		receiver.respondWith("reset");
		expect(await failureTo(receiver.url)).toBe("connection_reset");
		expect(receiver.requests.length).toBe(1);
	});

	it("of the connection within the answer is connection_reset", async () => {
		const receiver = await receiving();
		receiver.respondWith("cut");
		expect(await failureTo(receiver.url)).toBe("connection_reset");
	});

	it("of DNS is dns_error", async () => {
		const resolver = () => Promise.reject(Object.assign(new Error("ENOTFOUND"), { code: "ENOTFOUND" }));
		const guard = createAddressGuard({ allow: [], resolver });
		const outcome = await sender({ guard }).send(post("https://gone.example/"));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "dns_error" });
	});

	it("never shows the customer an address or a port", async () => {
		const receiver = await startReceiver();
		await receiver.close();
		const outcome = await sender().send(post(receiver.url));
		expect(outcome.kind === "failed" && outcome.message).not.toMatch(/\d|ECONN/);
	});

	it("of our own is marked, so that it costs the customer no attempt", async () => {
		const client = createSender({ guard: loopback, deadlineMs: 1000, connectionsPerOriginMax: 1 });
		await client.close();
		expect(await client.send(post("http://127.0.0.1:9/"))).toMatchObject({
			errorCode: "unknown",
			ours: true,
		});
	});
});

/** A peer that writes these bytes as soon as it hears anything. */
async function speaking(text: string): Promise<string> {
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => {}).once("data", () => socket.write(text));
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	closeAfterTest({
		async close() {
			const closed = once(server, "close");
			server.close();
			for (const socket of sockets) socket.destroy();
			await closed;
		},
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function answered(sent: Promise<SendOutcome>) {
	const outcome = await sent;
	if (outcome.kind !== "answered") throw new Error(`failed: ${outcome.errorCode}`);
	return outcome;
}
