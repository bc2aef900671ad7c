import type { Log } from "../../src/core/log.ts";

// Fastify asks for the two that the house does not use.
export const silentLog: Log & { fatal(): void; trace(): void } = {
	fatal: () => undefined,
	trace: () => undefined,
	debug: () => undefined,
	info: () => undefined,
	warn: () => undefined,
	error: () => undefined,
	child: () => silentLog,
};
