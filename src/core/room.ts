/** Room for so many of something under each key. */
export type Room = {
	/** Resolves once there is room, in the order of asking. */
	enter(key: string): Promise<void>;
	leave(key: string): void;
	/** Whether anybody is in it. */
	isTaken(key: string): boolean;
	/** Whether who enters now would wait. */
	isFull(key: string): boolean;
	/** Whether somebody waits. */
	isWaitedFor(key: string): boolean;
};

export function createRoom(max: number): Room {
	const places = new Map<string, { taken: number; waiting: (() => void)[] }>();
	const isFull = (key: string) => (places.get(key)?.taken ?? 0) >= max;
	return {
		enter: async (key) => {
			const place = places.get(key) ?? { taken: 0, waiting: [] };
			places.set(key, place);
			if (!isFull(key)) {
				place.taken += 1;
				return;
			}
			// The place of the one that leaves is handed over as it is, so `taken` does not change.
			const { promise, resolve } = Promise.withResolvers<void>();
			place.waiting.push(resolve);
			await promise;
		},
		leave: (key) => {
			const place = places.get(key);
			if (!place) return;
			const next = place.waiting.shift();
			if (next) next();
			else place.taken -= 1;
			if (place.taken === 0) places.delete(key);
		},
		isTaken: (key) => places.has(key),
		isFull,
		isWaitedFor: (key) => (places.get(key)?.waiting.length ?? 0) > 0,
	};
}
