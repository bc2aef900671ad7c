import type { FastifyInstance } from "fastify";
import type { Log } from "../core/log.ts";
import type { Principal } from "../core/principal.ts";

/** One line a request. The route's pattern stands for the path: a path may hold a token, and a query `code`. */
export function useRequestLog(app: FastifyInstance, log: Log): void {
	app.addHook("onSend", async (request, reply) => {
		reply.header("x-request-id", request.id);
	});
	app.addHook("onResponse", async (request, reply) => {
		const isProbe = /^\/(healthz|readyz|status)$/.test(request.routeOptions.url ?? "");
		const principal = request.principal as typeof request.principal | undefined;
		const fields = {
			request_id: request.id,
			method: request.method,
			route: request.routeOptions.url ?? "unknown",
			status: reply.statusCode,
			ms: Math.round(reply.elapsedTime * 10) / 10,
			...(principal && callerFields(principal)),
		};
		if (isProbe) log.debug(fields, "request");
		else log.info(fields, "request");
	});
}

function callerFields(principal: Principal): Record<string, string> {
	switch (principal.kind) {
		case "admin":
			return {};
		case "api_key":
			return { key_id: principal.keyId, organization_id: principal.organizationId };
		case "clerk_session":
			return { user_id: principal.userId, organization_id: principal.organizationId };
	}
}
