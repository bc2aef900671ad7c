import { Type } from "@sinclair/typebox";
import type { FastifyInstance } from "fastify";

/** One thing that must work for the server to be ready; resolves to null, or to what is wrong with it. */
export type ReadinessCheck = () => Promise<string | null>;

const checkMaxMs = 3_000;

/** `/status`, `/healthz` (this process) and `/readyz` (what it needs). */
export function healthRoutes(app: FastifyInstance, checks: Record<string, ReadinessCheck>): void {
	const Ok = Type.Object({ status: Type.Literal("ok") });
	const Readiness = Type.Object({
		status: Type.Union([Type.Literal("ok"), Type.Literal("unavailable")]),
		checks: Type.Record(Type.String(), Type.String()),
	});
	const open = { security: [], tags: ["Health"] };
	app.get("/status", { schema: { ...open, operationId: "getStatus", response: { 200: Ok } } }, async () => ({
		status: "ok" as const,
	}));
	app.get("/healthz", { schema: { ...open, operationId: "getHealth", response: { 200: Ok } } }, async () => ({
		status: "ok" as const,
	}));
	const readySchema = { ...open, operationId: "getReadiness", response: { 200: Readiness, 503: Readiness } };
	app.get("/readyz", { schema: readySchema }, async (_request, reply) => {
		const entries = await Promise.all(
			Object.entries(checks).map(async ([name, check]) => [
				name,
				(await inTime(check).catch(() => "failed")) ?? "ok",
			]),
		);
		const isReady = entries.every(([, state]) => state === "ok");
		return reply
			.code(isReady ? 200 : 503)
			.send({ status: isReady ? "ok" : "unavailable", checks: Object.fromEntries(entries) });
	});
}

/** A probe is answered before it is given up. */
async function inTime(check: ReadinessCheck): Promise<string | null> {
	const { promise, resolve } = Promise.withResolvers<string>();
	const timer = setTimeout(() => resolve("no answer"), checkMaxMs);
	try {
		return await Promise.race([check(), promise]);
	} finally {
		clearTimeout(timer);
	}
}
