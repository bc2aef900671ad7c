import type { FastifyInstance, HTTPMethods } from "fastify";
import { AppError } from "../core/errors.ts";
import { sendError } from "./error-handler.ts";

const methods: HTTPMethods[] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Collects the routes of an app as they are added; `close` then answers 405 on their paths for all other methods. */
export function trackMethods(app: FastifyInstance): { close(): void } {
	const taken = new Map<string, Set<string>>();
	app.addHook("onRoute", (route) => {
		const known = taken.get(route.url) ?? new Set();
		for (const method of [route.method].flat()) known.add(method);
		taken.set(route.url, known);
	});
	return {
		close: () => {
			for (const [url, known] of [...taken]) {
				const allowed = [...known].sort().join(", ");
				const refused = methods.filter((method) => !known.has(method));
				if (refused.length === 0) continue;
				app.route({
					method: refused,
					url,
					schema: { hide: true },
					onRequest: async (request, reply) => {
						reply.header("allow", allowed);
						const sentence = `This path takes ${allowed}.`;
						return sendError(
							request,
							reply,
							new AppError("method_not_allowed", "method.not_allowed", sentence),
						);
					},
					handler: () => undefined,
				});
			}
		},
	};
}
