import type { FastifyInstance, FastifyRequest } from "fastify";
import { equalSecrets } from "../core/equality.ts";
import { AppError } from "../core/errors.ts";
import { isKnownMethod } from "./methods.ts";
import { createRateLimiter } from "./rate-limit.ts";

/** What a scrape is answered with. */
export type Scrape = () => Promise<{ contentType: string; text: string }>;

type RequestMeter = (labels: { method: string; route: string; status: string }, seconds: number) => void;

/** Measures every request under its route's pattern, never its path. */
export function useRequestMetrics(app: FastifyInstance, measure: RequestMeter): void {
	app.addHook("onResponse", async (request, reply) => {
		const labels = {
			method: isKnownMethod(request.method) ? request.method : "other",
			route: request.routeOptions.url ?? "unknown",
			status: String(reply.statusCode),
		};
		measure(labels, reply.elapsedTime / 1000);
	});
}

/** `/metrics` for who shows the token as a bearer. */
export function metricsRoute(app: FastifyInstance, token: string, scrape: Scrape): void {
	const failures = createRateLimiter({ perSecond: 5, burst: 300 });
	app.get("/metrics", { schema: { hide: true } }, async (request, reply) => {
		if (!shows(request, token)) {
			failures.take(request.ip, reply);
			const sentence = "Send the METRICS_TOKEN as `Authorization: Bearer …`.";
			throw new AppError("unauthenticated", "credential.invalid", sentence);
		}
		const { contentType, text } = await scrape();
		return reply.header("cache-control", "no-store").type(contentType).send(text);
	});
}

function shows(request: FastifyRequest, token: string): boolean {
	const [, shown = ""] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? "") ?? [];
	return equalSecrets(shown, token);
}
