import type { createBacklogStores } from "./context.ts";
import type { Log } from "./core/log.ts";
import type { Backlog } from "./meters.ts";

export type KeptBacklog = {
	/**
	 * Reads anew what is older than five seconds. Waits for that a moment only: a scrape answers also when the
	 * database does not.
	 */
	refresh(): Promise<void>;
	/** Null when nothing was read for a minute. */
	latest(): { ageSeconds: number; value: Backlog } | null;
};

const freshMs = 5_000;
const waitMaxMs = 500;
const ageMaxMs = 60_000;

/** What waits in the database, read when somebody asks and however many ask. */
export function keepBacklog(stores: ReturnType<typeof createBacklogStores>, log: Log): KeptBacklog {
	let kept: { value: Backlog; readAt: number } | undefined;
	let reading: Promise<void> | undefined;
	const ageMs = () => (kept === undefined ? Number.POSITIVE_INFINITY : performance.now() - kept.readAt);

	const read = async () => {
		try {
			const deliveries = await stores.deliveries.read();
			const jobs = await stores.jobs.countOpen();
			const inbound = await stores.inbound.countWaiting();
			const partitionsAheadSeconds = (await stores.retention.partitionsAheadMs()) / 1000;
			kept = { value: { deliveries, jobs, inbound, partitionsAheadSeconds }, readAt: performance.now() };
		} catch (error) {
			log.warn({ err: error }, "the backlog could not be read");
		}
		reading = undefined;
	};

	return {
		refresh: async () => {
			if (ageMs() < freshMs) return;
			reading ??= read();
			await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, waitMaxMs).unref())]);
		},
		latest: () =>
			kept === undefined || ageMs() > ageMaxMs ? null : { value: kept.value, ageSeconds: ageMs() / 1000 },
	};
}
