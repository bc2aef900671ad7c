import { sql } from "drizzle-orm";
import type { Clock } from "../core/clock.ts";
import type { Database } from "./db.ts";

export type DatabaseClock = Clock & {
	/** Measures the database's clock against ours; called at the start and every minute. */
	sync(): Promise<void>;
};

/**
 * The database's clock as this process sees it: ours plus the measured offset, so that replicas whose own
 * clocks are wrong still sign and compare with one time.
 */
export function createDatabaseClock(database: Database): DatabaseClock {
	let offsetMs = 0;
	return {
		now: () => new Date(Date.now() + offsetMs),
		sync: async () => {
			const before = Date.now();
			const { rows } = await database.orm.execute<{ ms: number }>(
				sql`select (extract(epoch from clock_now()) * 1000)::float8 as ms`,
			);
			const after = Date.now();
			if (rows[0]) offsetMs = Math.round(rows[0].ms - (before + after) / 2);
		},
	};
}
