import { setTimeout as delay } from "node:timers/promises";
import type { Log } from "../../core/log.ts";
import { brokenConstraint, sqlState } from "../../platform/db-errors.ts";
import type { AttemptResult } from "./settle-store.ts";

export type Settler = {
	/** Takes a result over; it is written within milliseconds, together with others. */
	add(result: AttemptResult): void;
	/** Results that are not written yet. */
	waiting(): number;
	/** Resolves when all that was added has been written or given up to the lease. */
	flush(): Promise<void>;
};

const usualWindowMs = 5;
const batchMax = 200;
const writersMax = 2;
// 13 s in all, as long as a restart of Postgres may take: beyond its lease a result can change nothing any more.
const triesMax = 7;

type SettlerOptions = {
	/** Writes results, all or none. */
	write(results: readonly AttemptResult[]): Promise<void>;
	log: Log;
	/** How long results are gathered; 5 ms unless it is given. */
	windowMs: number | undefined;
};

/** Gathers results for 5 ms or 200 of them, and writes each gathering at once. */
export function createSettler(options: SettlerOptions): Settler {
	const { windowMs = usualWindowMs } = options;
	let gathered: AttemptResult[] = [];
	let timer: NodeJS.Timeout | undefined;
	const writing = new Set<Promise<void>>();

	const writeSome = () => {
		clearTimeout(timer);
		timer = undefined;
		while (gathered.length > 0 && writing.size < writersMax) {
			const batch = gathered.slice(0, batchMax);
			gathered = gathered.slice(batchMax);
			const write = settleBatch(options, batch).finally(() => {
				writing.delete(write);
				if (gathered.length > 0) writeSome();
			});
			writing.add(write);
		}
	};

	return {
		add: (result) => {
			gathered.push(result);
			if (gathered.length >= batchMax) writeSome();
			else timer ??= setTimeout(writeSome, windowMs);
		},
		waiting: () => gathered.length + [...writing].length * batchMax,
		flush: async () => {
			while (gathered.length > 0 || writing.size > 0) {
				writeSome();
				await Promise.all(writing);
			}
		},
	};
}

/** Writes a batch; one that the database refuses is split until the row that spoils it stands alone. */
async function settleBatch(
	options: Pick<SettlerOptions, "write" | "log">,
	batch: AttemptResult[],
	tried = 0,
): Promise<void> {
	try {
		await options.write(batch);
	} catch (error) {
		if (isWritten(error)) return;
		const isRowsFault = /^(22|23)/.test(sqlState(error) ?? "");
		if (isRowsFault && batch.length > 1) {
			const half = Math.ceil(batch.length / 2);
			await settleBatch(options, batch.slice(0, half));
			await settleBatch(options, batch.slice(half));
			return;
		}
		const [first] = batch;
		options.log.warn(
			{ err: error, results: batch.length, delivery_id: first?.delivery.id },
			"results could not be written",
		);
		if (isRowsFault && first && (first.responseBody !== null || first.responseHeaders !== null)) {
			await settleBatch(options, [{ ...first, responseBody: null, responseHeaders: null }]);
		} else if (tried < triesMax) {
			await delay(100 * 2 ** tried);
			await settleBatch(options, batch, tried + 1);
		}
		// What could not be written at all stays claimed: the lease ends and the attempt is closed as `unknown`.
	}
}

/**
 * Whether the database has the attempts of this batch already: its connection broke after the commit and before we heard
 * of it. A batch is committed whole, with all that follows from it, and keeps the ids of its attempts when it is repeated.
 */
function isWritten(error: unknown): boolean {
	const isThere = sqlState(error) === "23505";
	return isThere && brokenConstraint(error)?.startsWith("delivery_attempts_") === true;
}
