import { setTimeout as pause } from "node:timers/promises";
import type { EndpointId } from "../../core/ids.ts";
import type { Log } from "../../core/log.ts";
import type { laneStore } from "./lane-store.ts";

export type Waker = {
	wake(endpointIds: readonly EndpointId[]): void;
	/** Resolves when every wake so far has been carried out. */
	flush(): Promise<void>;
};

type WakerOptions = {
	lanes: ReturnType<typeof laneStore>;
	/** Wakes the engines: the one of this process, or others through the queue. */
	poke(): void | Promise<void>;
	/** Rest after a poke; what is marked meanwhile has one together. */
	pokeGapMs: number;
	log: Log;
};

/**
 * Marks lanes as due and wakes the engine after a commit. Wakes that come while one is under way go together in
 * the next. A wake that fails is logged only: the sweep finds its lanes.
 */
export function createWaker({ lanes, poke, pokeGapMs, log }: WakerOptions): Waker {
	let waiting = new Set<EndpointId>();
	let working: Promise<void> | undefined;
	let isPokeDue = false;
	let poking: Promise<void> | undefined;

	const pokeAll = async () => {
		while (isPokeDue) {
			isPokeDue = false;
			try {
				await poke();
			} catch (error) {
				log.warn({ err: error }, "the engines could not be woken; they look for themselves before long");
			}
			if (pokeGapMs > 0) await pause(pokeGapMs);
		}
		poking = undefined;
	};

	const work = async () => {
		while (waiting.size > 0) {
			const endpointIds = [...waiting];
			waiting = new Set();
			try {
				await lanes.markDue(endpointIds);
				isPokeDue = true;
				poking ??= pokeAll();
			} catch (error) {
				log.warn({ err: error, lanes: endpointIds.length }, "a wake was lost; the sweep makes up for it");
			}
		}
		working = undefined;
	};

	return {
		wake: (endpointIds) => {
			if (endpointIds.length === 0) return;
			for (const endpointId of endpointIds) waiting.add(endpointId);
			working ??= work();
		},
		flush: async () => {
			await working;
			await poking;
		},
	};
}
