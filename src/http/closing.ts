import type { FastifyInstance } from "fastify";

/**
 * Makes `close` end as soon as the requests under way are answered, and `graceMs` after its beginning at the
 * latest. By itself Fastify closes the connections that are idle at that moment and waits for the others, also
 * after their answer, until their keep-alive is over.
 */
export function useClosing(app: FastifyInstance, graceMs: number): void {
	let isClosing = false;
	app.addHook("preClose", async () => {
		isClosing = true;
		setTimeout(() => app.server.closeAllConnections(), graceMs).unref();
	});
	app.addHook("onSend", async (_request, reply) => {
		if (isClosing) reply.header("connection", "close");
	});
	// Answers whose headers were out already.
	app.addHook("onResponse", async () => {
		if (isClosing) app.server.closeIdleConnections();
	});
}
