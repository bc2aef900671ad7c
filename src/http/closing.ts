import type { Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";

export type ClosingTimes = {
	/** How long requests are still taken, so that a load balancer has seen `/readyz` before nothing listens. */
	drainMs: number;
	/** How long requests under way may take after that. */
	graceMs: number;
};

/**
 * Makes `close` lose no request. While somebody is there, for `drainMs`, everything is still answered, and each
 * answer ends its connection. Then nothing is accepted, and `close` ends as soon as the requests under way are
 * answered, after `graceMs` at the latest. By itself Fastify closes at once the connections that are idle, on which
 * a request may be coming, and waits for the others, also after their answer, until their keep-alive is over.
 */
export function useClosing(app: FastifyInstance, { drainMs, graceMs }: ClosingTimes): void {
	let isClosing = false;
	let isDrained = false;
	let askedAt = Number.NEGATIVE_INFINITY;
	app.addHook("onRequest", async () => {
		askedAt = performance.now();
	});
	app.addHook("preClose", async () => {
		isClosing = true;
		const isQuiet = performance.now() - askedAt > drainMs && (await countConnections(app.server)) === 0;
		if (!isQuiet) await delay(drainMs);
		isDrained = true;
		setTimeout(() => app.server.closeAllConnections(), graceMs).unref();
	});
	app.addHook("onSend", async (_request, reply) => {
		if (isClosing) reply.header("connection", "close");
	});
	// Answers whose headers were out already.
	app.addHook("onResponse", async () => {
		if (isDrained) app.server.closeIdleConnections();
	});
}

function countConnections(server: Server): Promise<number> {
	return new Promise((resolve, reject) => {
		server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
	});
}
