import { overloaded } from "./errors.ts";

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
	/** What may wait; more is refused at once. */
	waitingMax?: number;
	waitingWeightMax?: number;
	/** One that has waited for so long is refused, and never run. */
	waitMaxMs?: number;
};

/** Does with one item what `run` does with many. Throws a 503 when too much waits, or for too long. */
export type Batcher<Item, Result> = {
	(item: Item): Promise<Result>;
	/** What is not under way yet, and how long the first of it has waited. */
	usage(): { waiting: number; oldestWaitMs: number };
};

type Waiting<Item, Result> = {
	item: Item;
	weight: number;
	since: number;
	done(result: Result): void;
	failed(error: unknown): void;
};

const runsMax = 2;
const waitingUsualMax = 10_000;

/**
 * What is asked for in one turn of the event loop, and while a run is under way, goes together, so that under load the
 * costs of a run are shared; a second run beside it begins only when it is full, for many small ones would cost more
 * than they gain.
 */
export function createBatcher<Item, Result>(options: Options<Item, Result>): Batcher<Item, Result> {
	const line = createLine(options);
	let runs = 0;
	const work = async () => {
		for (let batch = line.take(); batch.length > 0; batch = line.take()) await runBatch(options, batch);
		runs -= 1;
	};
	const add = (item: Item) =>
		new Promise<Result>((done, failed) => {
			const weight = options.weigh?.(item) ?? 0;
			if (!line.hasRoom(weight)) return failed(overloaded());
			line.join({ item, weight, since: performance.now(), done, failed });
			const isNeeded = runs === 0 || (runs < runsMax && line.usage().waiting >= options.itemsMax);
			if (!isNeeded) return;
			runs += 1;
			setImmediate(() => void work());
		});
	return Object.assign(add, { usage: line.usage });
}

/** Those that wait, the longest waiting first. */
function createLine<Item, Result>(options: Options<Item, Result>) {
	const { waitingMax = waitingUsualMax, waitingWeightMax = Number.POSITIVE_INFINITY, waitMaxMs } = options;
	let waiting: Waiting<Item, Result>[] = [];
	let weightWaiting = 0;
	let timer: NodeJS.Timeout | undefined;

	const leave = (those: ReadonlySet<Waiting<Item, Result>>) => {
		if (those.size > 0) waiting = waiting.filter((one) => !those.has(one));
		for (const { weight } of those) weightWaiting -= weight;
	};
	const watch = () => {
		const [first] = waiting;
		if (waitMaxMs === undefined || timer || !first) return;
		const restMs = Math.max(1, first.since + waitMaxMs - performance.now());
		timer = setTimeout(() => {
			timer = undefined;
			const late = new Set(waiting.filter(({ since }) => performance.now() - since >= waitMaxMs));
			leave(late);
			for (const one of late) one.failed(overloaded());
			watch();
		}, restMs).unref();
	};
	return {
		hasRoom: (weight: number) =>
			waiting.length < waitingMax && (waiting.length === 0 || weightWaiting + weight <= waitingWeightMax),
		join: (one: Waiting<Item, Result>) => {
			waiting.push(one);
			weightWaiting += one.weight;
			watch();
		},
		take: () => {
			const batch = takeBatch(options, waiting);
			leave(batch);
			return [...batch];
		},
		usage: () => {
			const [first] = waiting;
			return {
				waiting: waiting.length,
				oldestWaitMs: first === undefined ? 0 : performance.now() - first.since,
			};
		},
	};
}

/** The longest waiting ones; of one key only the first. */
function takeBatch<Item, Result>(
	{ itemsMax, weightMax = Number.POSITIVE_INFINITY, keyOf }: Options<Item, Result>,
	waiting: readonly Waiting<Item, Result>[],
): Set<Waiting<Item, Result>> {
	const batch = new Set<Waiting<Item, Result>>();
	const keys = new Set<string>();
	let weight = 0;
	for (const one of waiting) {
		const key = keyOf?.(one.item);
		if (key !== undefined && keys.has(key)) continue;
		weight += one.weight;
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
