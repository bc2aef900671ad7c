import type { Log } from "./log.ts";

/** Work that is done again and again, one turn at a time. */
export type Loop = {
	start(): void;
	/** Begins no further turn; the one under way ends by itself. */
	stop(): void;
	/** False before the start, and when a turn has not come to its end, well or badly, for too long. */
	isAlive(): boolean;
};

type LoopOptions = {
	/** What it does, for the log. */
	name: string;
	everyMs: number;
	work(): Promise<unknown>;
	log: Log;
	/** How long it may be quiet before it counts as dead. */
	quietMaxMs?: number;
};

/** Longer than the statements of a turn may take until they are cut off. */
const quietMaxDefaultMs = 60_000;

/** A turn that fails is logged, and the next comes as always: no outage ends a loop. */
export function createLoop({ name, everyMs, work, log, quietMaxMs }: LoopOptions): Loop {
	const deadAfterMs = quietMaxMs ?? Math.max(quietMaxDefaultMs, everyMs * 3);
	let timer: NodeJS.Timeout | undefined;
	let turnedAt = 0;
	let isRunning = false;

	const turn = async () => {
		try {
			await work();
		} catch (error) {
			log.warn({ err: error, loop: name }, "a turn of a loop failed");
		}
		turnedAt = performance.now();
		if (isRunning) timer = setTimeout(turn, everyMs);
	};

	return {
		start: () => {
			if (isRunning) return;
			isRunning = true;
			turnedAt = performance.now();
			timer = setTimeout(turn, everyMs);
		},
		stop: () => {
			isRunning = false;
			clearTimeout(timer);
		},
		isAlive: () => isRunning && performance.now() - turnedAt < deadAfterMs,
	};
}
