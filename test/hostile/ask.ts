import { Agent, request } from "node:http";
import type { Answer } from "../support/server.ts";
import type { HostileRequest } from "./requests.ts";

export type Asker = {
	ask(url: string, sent: HostileRequest, address: string): Promise<Answer>;
	close(): void;
};

/** Sends a request as it is written: `fetch` would mend the target and refuse some headers. */
export function createAsker(connections: number): Asker {
	const agent = new Agent({ keepAlive: true, maxSockets: connections });
	return { ask: (url, sent, address) => ask(agent, url, sent, address), close: () => agent.destroy() };
}

function ask(agent: Agent, url: string, sent: HostileRequest, address: string): Promise<Answer> {
	const { promise, resolve, reject } = Promise.withResolvers<Answer>();
	const { hostname, port } = new URL(url);
	const length = sent.body === null ? {} : { "content-length": Buffer.byteLength(sent.body) };
	const headers = { ...sent.headers, ...sent.caller.headers, ...length, "x-forwarded-for": address };
	const { method } = sent.operation;
	const asked = request({ agent, hostname, port, method, path: sent.target, headers }, (response) => {
		const parts: Buffer[] = [];
		response.on("data", (part: Buffer) => parts.push(part));
		response.on("error", reject);
		response.on("end", () => {
			const text = Buffer.concat(parts).toString();
			const pairs = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
			resolve({
				status: response.statusCode ?? 0,
				text,
				body: parse(text),
				headers: new Headers(pairs as [string, string][]),
			});
		});
	});
	asked.on("error", reject);
	asked.end(sent.body ?? undefined);
	return promise;
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
