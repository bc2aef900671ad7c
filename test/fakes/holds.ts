type Hold = {
	matches: RegExp;
	afterWork: boolean;
	passes: number;
	arrive: () => void;
	released: Promise<void>;
};

export type Held = { arrived: Promise<void>; release: () => void };

/** Requests that a test keeps waiting at a fake, as a slow platform does. */
export function createHolds() {
	const holds: Hold[] = [];
	return {
		/**
		 * Holds the next request such as "POST /v1/webhooks" until `release`: before it has its effect, or with
		 * `afterWork` before it is answered. The nth one, if that is named. What was asked for happens even when nobody waits for the answer any more.
		 */
		holdNext(matches: RegExp, { afterWork = false, nth = 1 } = {}): Held {
			const arrived = Promise.withResolvers<void>();
			const released = Promise.withResolvers<void>();
			const passes = nth - 1;
			holds.push({ matches, afterWork, passes, arrive: arrived.resolve, released: released.promise });
			return { arrived: arrived.promise, release: released.resolve };
		},
		/** The fake's own: waits where it is asked to. */
		async pass(line: string, afterWork: boolean): Promise<void> {
			const at = holds.findIndex((hold) => hold.afterWork === afterWork && hold.matches.test(line));
			const hold = holds[at];
			if (hold === undefined) return;
			hold.passes -= 1;
			if (hold.passes >= 0) return;
			holds.splice(at, 1);
			hold.arrive();
			await hold.released;
		},
	};
}
