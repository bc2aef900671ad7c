import type { FastifyInstance } from "fastify";
import { AppError } from "../core/errors.ts";

/** What says that this process has more to do than it can. */
export type Load = {
	/** How late the event loop comes round. */
	eventLoopDelayMs: number;
	/** How long the first in the queue for a database connection has waited. */
	poolWaitMs: number;
};

export type Shedding = {
	load(): Load;
	/** From these values on. */
	max: Load;
	retryAfterSeconds: number;
	onShed(): void;
};

/** Callers of the API come back later: they go first. */
export const apiMax: Load = { eventLoopDelayMs: 1_000, poolWaitMs: 2_000 };
/** Some providers never try again: theirs are taken for longest, until the queue's own end would refuse them. */
export const inboundMax: Load = { eventLoopDelayMs: 3_000, poolWaitMs: 4_000 };

/** Over capacity a scope answers 503 at once, before anything is looked up or read. */
export function useLoadShedding(
	app: FastifyInstance,
	{ load, max, retryAfterSeconds, onShed }: Shedding,
): void {
	app.addHook("onRequest", async () => {
		const { eventLoopDelayMs, poolWaitMs } = load();
		if (eventLoopDelayMs < max.eventLoopDelayMs && poolWaitMs < max.poolWaitMs) return;
		onShed();
		const sentence = "The server has more to do than it can just now; try again shortly.";
		throw new AppError("unavailable", "server.overloaded", sentence, { retryAfterSeconds });
	});
}
