import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** One request and its answer, as they went over the wire. A body is read by its content type; absent is undefined. */
export type Exchange = {
	method: string;
	path: string;
	query: URLSearchParams;
	requestBody: unknown;
	status: number;
	answerBody: unknown;
};

export type Recorder = {
	/** Takes the place of the origin it was started for. */
	origin: string;
	exchanges: Exchange[];
	close(): Promise<void>;
};

/** Stands between a client and a server, passes everything on as it is, and keeps what it saw. */
export async function startRecorder(target: string): Promise<Recorder> {
	const exchanges: Exchange[] = [];
	const server = createServer((request, response) => void pass(target, exchanges, request, response));
	// A client that is slow to ask again finds its connection open.
	server.keepAliveTimeout = 120_000;
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	return {
		origin: `http://127.0.0.1:${port}`,
		exchanges,
		async close() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

async function pass(
	target: string,
	exchanges: Exchange[],
	request: IncomingMessage,
	response: ServerResponse,
): Promise<void> {
	const sent = await text(request);
	const url = new URL(`${target}${request.url ?? "/"}`);
	const { host: _, connection: __, "transfer-encoding": ___, ...headers } = request.headers;
	try {
		const answer = await fetch(url, {
			method: request.method ?? "GET",
			headers: headers as Record<string, string>,
			body: sent === "" ? null : sent,
			redirect: "manual",
		});
		const received = await answer.text();
		exchanges.push({
			method: request.method ?? "GET",
			path: url.pathname,
			query: url.searchParams,
			requestBody: readBody(sent, String(request.headers["content-type"])),
			status: answer.status,
			answerBody: readBody(received, String(answer.headers.get("content-type"))),
		});
		const { "content-length": ____, connection: _____, ...kept } = Object.fromEntries(answer.headers);
		response.writeHead(answer.status, kept).end(received);
	} catch {
		response.destroy();
	}
}

function readBody(body: string, contentType: string): unknown {
	if (body === "") return undefined;
	if (contentType.includes("json")) return JSON.parse(body);
	return contentType.includes("form-urlencoded") ? Object.fromEntries(new URLSearchParams(body)) : body;
}
