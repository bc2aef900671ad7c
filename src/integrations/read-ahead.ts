export type ReadAhead<Page> = {
	/**
	 * The pages that have come since the last call, at least one; none at the end of the list. Throws what reading
	 * threw, once the pages before that were taken.
	 */
	take(): Promise<Page[]>;
	/** Reads on in the place of the pages that were taken. */
	resume(): void;
	/** Reads no further. */
	stop(): void;
};

/**
 * Reads pages while those before are being written, so that neither side waits for the other: until what waits weighs
 * 1, as `weigh` says. Reading costs this process as much as writing: whoever takes pages says when to go on, which is
 * best while the database is busy with them.
 */
export function readAhead<Page>(pages: AsyncIterable<Page>, weigh: (page: Page) => number): ReadAhead<Page> {
	let waiting: Page[] = [];
	let weight = 0;
	let isStopped = false;
	let end: { error: unknown } | "reached" | null = null;
	let moved = Promise.withResolvers<void>();
	const move = () => {
		moved.resolve();
		moved = Promise.withResolvers();
	};
	const read = async () => {
		for await (const page of pages) {
			waiting.push(page);
			weight += weigh(page);
			move();
			while (weight >= 1 && !isStopped) await moved.promise;
			if (isStopped) return;
		}
	};
	const settle = (how: typeof end) => {
		end = how;
		move();
	};
	read().then(
		() => settle("reached"),
		(error: unknown) => settle({ error }),
	);
	return {
		take: async () => {
			while (waiting.length === 0 && end === null) await moved.promise;
			const taken = waiting;
			if (taken.length === 0 && end !== null && end !== "reached") throw end.error;
			waiting = [];
			weight = 0;
			return taken;
		},
		resume: move,
		stop: () => {
			isStopped = true;
			move();
		},
	};
}
