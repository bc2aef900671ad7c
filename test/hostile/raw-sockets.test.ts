import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());

type Said = { text: string; statuses: number[]; isClosed: boolean };

/** A connection, and what came back on it so far. */
function open(): { socket: Socket; said: Said } {
	const { hostname, port } = new URL(server.url);
	const socket = connect({ host: hostname, port: Number(port) });
	const said: Said = { text: "", statuses: [], isClosed: false };
	socket.setEncoding("utf8").on("data", (part: string) => {
		said.text += part;
		said.statuses = [...said.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
	});
	socket
		.on("error", () => undefined)
		.on("close", () => {
			said.isClosed = true;
		});
	return { socket, said };
}

/** Writes the bytes as they are, and collects what comes back until the server closes. */
async function converse(bytes: string | Buffer): Promise<Said> {
	const { socket, said } = open();
	socket.write(bytes);
	await until(() => said.isClosed, {
		timeoutMs: 20_000,
		what: `an end of ${JSON.stringify(bytes.slice(0, 200))}`,
	});
	return said;
}

function head(line: string, ...headers: string[]): string {
	return [line, ...headers, "", ""].join("\r\n");
}

const post = "POST /v1/projects HTTP/1.1";
const get = "GET /healthz HTTP/1.1";
const host = "Host: x";
/** What an intermediary would take for a body, or for a request of somebody else. */
const second = head(get, host);

function bodyOf({ text }: Said): unknown {
	return JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
}

function refusal(code: string) {
	return {
		error: expect.stringMatching(/^[A-Z].*\.$/),
		code,
		request_id: expect.stringMatching(/^req_[0-9a-f]{32}$/),
	};
}

describe("a request whose end is in doubt", () => {
	it.each([
		[
			"a length and chunks",
			`${head(post, host, "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`,
		],
		["two lengths", `${head(post, host, "Content-Length: 5", "Content-Length: 6")}abcde`],
		["the same length twice in one header", `${head(post, host, "Content-Length: 5, 5")}abcde`],
		["a signed length", `${head(post, host, "Content-Length: +5")}abcde`],
		["a negative length", head(post, host, "Content-Length: -1")],
		["a length beyond counting", head(post, host, "Content-Length: 99999999999999999999")],
		["an unknown coding", `${head(post, host, "Transfer-Encoding: xchunked")}0\r\n\r\n`],
		[
			"chunks that are not the last coding",
			`${head(post, host, "Transfer-Encoding: chunked, identity")}0\r\n\r\n`,
		],
		["white space before the colon", `${head(post, host, "Transfer-Encoding : chunked")}0\r\n\r\n`],
		["a vertical tab for white space", `${head(post, host, "Transfer-Encoding:\u000bchunked")}0\r\n\r\n`],
		["a chunk beyond counting", `${head(post, host, "Transfer-Encoding: chunked")}ffffffffffffffffff\r\nx`],
		[
			"a chunk's line that ends early",
			`${head(post, host, "Transfer-Encoding: chunked")}5;a=b\nabcde\r\n0\r\n\r\n`,
		],
		["lines that end early", `${get}\n${host}\n\n`],
		["a folded header", head(get, host, "X-A: b", " folded")],
		["NUL in a header", head(get, host, "X-A: b\u0000c")],
		["a header without a colon", head(get, host, "no colon")],
		["a space in its target", head("GET /health z HTTP/1.1", host)],
		["a version that is none", head("GET /healthz HTTP/3.0", host)],
		["a method in lower case", head("get /healthz HTTP/1.1", host)],
		["the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
		["the beginning of TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u0003\u0003"],
	])("for %s, is a 400 in the one shape, and nothing after it is read", async (_, bytes) => {
		const said = await converse(`${bytes}${second}`);
		expect(said.statuses).toEqual([400]);
		expect(bodyOf(said)).toEqual(refusal("request.malformed"));
	});
});

describe("a head", () => {
	it.each([
		["a header", head(get, host, `X-A: ${"a".repeat(20_000)}`)],
		["a path", head(`GET /${"a".repeat(20_000)} HTTP/1.1`, host)],
		["a query", head(`GET /healthz?${"a".repeat(20_000)} HTTP/1.1`, host)],
		[
			"fifteen hundred headers",
			head(get, host, ...Array.from({ length: 1500 }, (_, at) => `X-${at}: bbbbbb`)),
		],
	])("with %s beyond 16 KiB is a 431 in the one shape", async (_, bytes) => {
		const said = await converse(`${bytes}${second}`);
		expect(said.statuses).toEqual([431]);
		expect(bodyOf(said)).toEqual(refusal("request.headers_too_large"));
	});

	it.each([
		["no host", head(get, "Connection: close")],
		["two hosts", head(get, host, "Host: y", "Connection: close")],
	])("with %s is a 400 in the one shape", async (_, bytes) => {
		const said = await converse(bytes);
		expect(said.statuses).toEqual([400]);
		expect(bodyOf(said)).toEqual(refusal("host.invalid"));
	});

	it("that expects something unknown is answered as if it expected nothing", async () => {
		const said = await converse(head(get, host, "Expect: nonsense", "Connection: close"));
		expect([said.statuses, bodyOf(said)]).toEqual([[200], { status: "ok" }]);
	});

	it("that asks for a tunnel is left without one", async () => {
		const said = await converse(head("CONNECT example.com:443 HTTP/1.1", host));
		expect(said.text).toBe("");
	});
});

describe("a connection", () => {
	it("with fifty requests at once gets their answers in order", async () => {
		const paths = Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? "/healthz" : "/nothing"));
		const bytes = paths.map((path) => head(`GET ${path} HTTP/1.1`, host)).join("");
		const { socket, said } = open();
		socket.write(bytes);
		await until(() => said.statuses.length === 50 && said.text.endsWith("}"));
		expect(said.statuses).toEqual(paths.map((path) => (path === "/healthz" ? 200 : 404)));
		socket.destroy();
	});

	it("that says nothing, or drips its head or body, is ended; five hundred of them hold nobody up", async () => {
		const silent = Array.from({ length: 200 }, () => open());
		const heads = Array.from({ length: 200 }, () => open());
		const bodies = Array.from({ length: 100 }, () => open());
		const inbound = "POST /v1/integrations/clerk/webhook/prj_01h455vb4pex5vsknk084sn02q HTTP/1.1";
		for (const { socket } of heads) socket.write(`${get}\r\n${host}\r\nX-A: `);
		for (const { socket } of bodies) socket.write(`${head(inbound, host, "Content-Length: 5000000")}{`);
		const drip = setInterval(() => {
			for (const { socket } of [...heads, ...bodies]) if (socket.writable) socket.write("a");
		}, 1_000);
		const all = [...silent, ...heads, ...bodies];
		await until(() => all.every(({ socket }) => !socket.connecting));
		const askedAt = performance.now();
		for (let asked = 0; asked < 20; asked += 1) {
			expect((await server.call("GET", "/v1/me")).status).toBe(200);
		}
		expect(performance.now() - askedAt).toBeLessThan(10_000);
		// Real time: nobody moves the clock of Node's HTTP server.
		await until(() => all.every(({ said }) => said.isClosed), { timeoutMs: 90_000, everyMs: 500 });
		clearInterval(drip);
		const statuses = [...heads, ...bodies].map(({ said }) => said.statuses);
		expect(statuses.filter((each) => each.length > 1 || (each[0] ?? 408) !== 408)).toEqual([]);
		const [late] = heads.filter(({ said }) => said.text !== "");
		expect(late && bodyOf(late.said)).toEqual(refusal("request.timeout"));
	});
});
