type Options<Item, Result> = {
	/** Results in the order of the items. */
	run(items: readonly Item[]): Promise<readonly Result[]>;
	itemsMax: number;
	/** What the items of one run may weigh together; one that is heavier goes alone. */
	weightMax?: number;
	weigh?(item: Item): number;
	/** Items of one key never go together. */
	keyOf?(item: Item): string | undefined;
	/** Whether one item may have made the run fail: then the others are run without it. */
	isOfOneItem?(error: unknown): boolean;
};

type Waiting<Item, Result> = { item: Item; done(result: Result): void; failed(error: unknown): void };

const runsMax = 2;

/**
 * Returns a function that does with one item what `run` does with many. What is asked for in one turn of the event
 * loop, and while a run is under way, goes together, so that under load the costs of a run are shared; a second run
 * beside it begins only when it is full, for many small ones would cost more than they gain.
 */
export function createBatcher<Item, Result>(options: Options<Item, Result>): (item: Item) => Promise<Result> {
	let waiting: Waiting<Item, Result>[] = [];
	let runs = 0;
	const work = async () => {
		while (waiting.length > 0) {
			const batch = takeBatch(options, waiting);
			waiting = waiting.filter((one) => !batch.has(one));
			await runBatch(options, [...batch]);
		}
		runs -= 1;
	};
	return (item) =>
		new Promise((done, failed) => {
			waiting.push({ item, done, failed });
			const isNeeded = runs === 0 || (runs < runsMax && waiting.length >= options.itemsMax);
			if (!isNeeded) return;
			runs += 1;
			setImmediate(() => void work());
		});
}

/** The longest waiting ones; of one key only the first. */
function takeBatch<Item, Result>(
	{ itemsMax, weightMax = Number.POSITIVE_INFINITY, weigh, keyOf }: Options<Item, Result>,
	waiting: readonly Waiting<Item, Result>[],
): Set<Waiting<Item, Result>> {
	const batch = new Set<Waiting<Item, Result>>();
	const keys = new Set<string>();
	let weight = 0;
	for (const one of waiting) {
		const key = keyOf?.(one.item);
		if (key !== undefined && keys.has(key)) continue;
		weight += weigh?.(one.item) ?? 0;
		if (batch.size >= itemsMax || (batch.size > 0 && weight > weightMax)) break;
		if (key !== undefined) keys.add(key);
		batch.add(one);
	}
	return batch;
}

async function runBatch<Item, Result>(
	options: Options<Item, Result>,
	batch: readonly Waiting<Item, Result>[],
): Promise<void> {
	try {
		const results = await options.run(batch.map(({ item }) => item));
		for (const [at, one] of batch.entries()) one.done(results[at] as Result);
	} catch (error) {
		if (batch.length === 1 || !options.isOfOneItem?.(error)) for (const one of batch) one.failed(error);
		else {
			const middle = Math.ceil(batch.length / 2);
			await runBatch(options, batch.slice(0, middle));
			await runBatch(options, batch.slice(middle));
		}
	}
}
