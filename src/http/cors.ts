import type { FastifyInstance } from "fastify";

const readable = "retry-after, ratelimit-limit, ratelimit-remaining, ratelimit-reset, x-request-id";
const preflightSeconds = 600;

/**
 * Lets pages of these origins call every route (https://fetch.spec.whatwg.org, "CORS protocol"). To any other page
 * no answer is readable, and its preflight is a method that no path takes.
 */
export function useCors(app: FastifyInstance, origins: readonly string[]): void {
	if (origins.length === 0) return;
	app.addHook("onRequest", async (request, reply) => {
		reply.header("vary", "origin");
		const { origin } = request.headers;
		if (origin === undefined || !origins.includes(origin)) return;
		reply.header("access-control-allow-origin", origin);
		// The start of an OAuth flow sets a cookie, which a browser keeps only of a request with credentials.
		reply.header("access-control-allow-credentials", "true");
		reply.header("access-control-expose-headers", readable);
		const isPreflight = request.method === "OPTIONS" && request.headers["access-control-request-method"];
		if (!isPreflight) return;
		reply.header("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE");
		reply.header("access-control-allow-headers", "authorization, content-type, x-api-key");
		reply.header("access-control-max-age", String(preflightSeconds));
		return reply.code(204).send();
	});
}
