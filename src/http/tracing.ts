import type { FastifyInstance, FastifyRequest } from "fastify";
import type { SpanStart, Tracing } from "../core/tracing.ts";
import { isKnownMethod } from "./methods.ts";

/** Asked every few seconds by machines. */
const untraced = /^\/(healthz|readyz|status|metrics)$/;

/**
 * One span a request, which continues the caller's trace; everything that the request does is a part of it. Names
 * and attributes follow OpenTelemetry's conventions for HTTP servers, but for `url.path`, which may hold a token.
 */
export function useRequestTracing(app: FastifyInstance, tracing: Tracing): void {
	if (!tracing.isOn) return;
	app.addHook("onRequest", (request, reply, done) => {
		if (untraced.test(request.routeOptions.url ?? "")) return done();
		const span = tracing.start(describe(request));
		reply.raw.once("close", () => {
			if (reply.raw.headersSent) span.set({ "http.response.status_code": reply.statusCode });
			if (reply.statusCode >= 500) span.fail(String(reply.statusCode));
			else if (!reply.raw.writableFinished) span.fail("aborted");
			span.end();
		});
		span.within(done);
	});
}

function describe({ method, headers, id, protocol, routeOptions }: FastifyRequest): SpanStart {
	const known = isKnownMethod(method);
	const route = routeOptions.url;
	const { traceparent, tracestate } = headers;
	return {
		name: `${known ? method : "HTTP"} ${route ?? ""}`.trimEnd(),
		kind: "server",
		attributes: {
			"http.request.method": known ? method : "_OTHER",
			"url.scheme": protocol,
			...(route !== undefined && { "http.route": route }),
			"capydb.request_id": id,
		},
		parent: {
			...(typeof traceparent === "string" && { traceparent }),
			...(typeof tracestate === "string" && { tracestate }),
		},
	};
}
