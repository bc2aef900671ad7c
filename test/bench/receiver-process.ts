// The receiver of every case: answers 204, or later, or never, and says what arrived when.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { RECEIVER_TLS } from "../support/receiver.ts";
import { serve } from "./child.ts";

/** Arrivals by the first word of the path; `/slow-200/…` answers after 200 ms, `/hang/…` never. */
const counts = new Map<string, number>();
/** Milliseconds from the time that a request names to its first byte here, for `/timed…`. */
const latencies = new Map<string, number[]>();
const inFlight = new Map<string, number>();

const listener = (request: IncomingMessage, response: ServerResponse) => {
	const arrivedAt = performance.timeOrigin + performance.now();
	const word = (request.url ?? "/").split("/", 2)[1] ?? "";
	inFlight.set(word, (inFlight.get(word) ?? 0) + 1);
	response.once("close", () => inFlight.set(word, (inFlight.get(word) ?? 1) - 1));
	if (word.startsWith("timed")) return void answerTimed(request, response, word, arrivedAt);
	request.resume().once("end", () => {
		counts.set(word, (counts.get(word) ?? 0) + 1);
		if (word === "hang") return;
		const waitMs = Number(word.split("-")[1] ?? 0);
		if (waitMs > 0) void delay(waitMs).then(() => response.writeHead(204).end());
		else response.writeHead(204).end();
	});
};
const plain = createServer({ keepAliveTimeout: 60_000 }, listener);
const secure = createSecureServer({ ...RECEIVER_TLS, keepAliveTimeout: 60_000 }, listener);
for (const server of [plain, secure]) await once(server.listen(0, "0.0.0.0"), "listening");

async function answerTimed(
	request: IncomingMessage,
	response: ServerResponse,
	word: string,
	arrivedAt: number,
): Promise<void> {
	let text = "";
	for await (const chunk of request.setEncoding("utf8")) text += chunk;
	response.writeHead(204).end();
	const known = latencies.get(word) ?? [];
	latencies.set(word, known);
	known.push(arrivedAt - startOf(text));
	counts.set(word, known.length);
}

/** When it began: the envelope's own `created_at`, which is before the commit, or what a bare POST says. */
function startOf(text: string): number {
	const own = text.match(/"sent_at":([\d.]+)/)?.[1];
	if (own !== undefined) return Number(own);
	return Date.parse(text.match(/"created_at":"([^"]+)"/)?.[1] ?? "");
}

function portOf(server: typeof plain | typeof secure): number {
	return (server.address() as AddressInfo).port;
}

const commands = {
	ports: () => ({ plain: portOf(plain), secure: portOf(secure) }),
	count: (word: string) => counts.get(word) ?? 0,
	reset: (word: string) => {
		counts.delete(word);
		latencies.delete(word);
	},
	latencies: (word: string) => latencies.get(word) ?? [],
	inFlight: (word: string) => inFlight.get(word) ?? 0,
	cpuMs: () => {
		const { user, system } = process.cpuUsage();
		return (user + system) / 1000;
	},
};

export type ReceiverCommands = typeof commands;

serve(commands);
