export type Random = {
	/** An integer from 0 to below `n`. */
	below(n: number): number;
	/** True with this probability. */
	chance(probability: number): boolean;
	pick<Item>(items: readonly Item[]): Item;
};

/** The same numbers for the same seed, on every machine (mulberry32). */
export function createRandom(seed: number): Random {
	let state = seed >>> 0;
	const next = () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
		mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
	const below = (n: number) => Math.floor(next() * n);
	return {
		below,
		chance: (probability) => next() < probability,
		pick: (items) => {
			if (items.length === 0) throw new Error("There is nothing to pick from.");
			return items[below(items.length)] as (typeof items)[number];
		},
	};
}
