import type { FastifyInstance } from "fastify";
import { overloaded } from "../core/errors.ts";

/** What says that this process has more to do than it can. */
export type Load = {
	/** How late the event loop comes round. */
	eventLoopDelayMs: number;
	/** How long the first in the queue for a database connection has waited. */
	poolWaitMs: number;
	/** How long the first has waited whose work is done together with others'. */
	batchWaitMs: number;
};

export type Shedding = {
	load(): Load;
	/** From these values on. */
	max: Load;
	retryAfterSeconds: number;
	onShed(): void;
};

/** Callers of the API come back later: they go first. */
export const apiMax: Load = { eventLoopDelayMs: 1_000, poolWaitMs: 2_000, batchWaitMs: 2_000 };
/** Some providers never try again: theirs are taken for longest, until the queue's own end would refuse them. */
export const inboundMax: Load = { eventLoopDelayMs: 3_000, poolWaitMs: 4_000, batchWaitMs: 6_000 };

/** Over capacity a scope answers 503 at once, before anything is looked up or read. */
export function useLoadShedding(
	app: FastifyInstance,
	{ load, max, retryAfterSeconds, onShed }: Shedding,
): void {
	app.addHook("onRequest", async () => {
		const now = load();
		const isOver = (Object.keys(max) as (keyof Load)[]).some((part) => now[part] >= max[part]);
		if (!isOver) return;
		onShed();
		throw overloaded(retryAfterSeconds);
	});
}
