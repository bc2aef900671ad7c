import { keepBacklog } from "./backlog.ts";
import type { createBacklogStores } from "./context.ts";
import type { Engine } from "./deliveries/engine/engine.ts";
import type { Load } from "./http/load-shedding.ts";
import type { Scrape } from "./http/metrics.ts";
import { watchGauges } from "./meters.ts";
import type { Ground, Outside } from "./outside.ts";

type Watched = Pick<Ground, "config" | "log"> & {
	outside: Outside;
	engine: Engine;
	backlog: ReturnType<typeof createBacklogStores>;
	/** Each loop of this process, and whether it goes round. */
	liveness(): Record<string, boolean>;
};

/** Makes what `/metrics` shows of the process and the database, and what says that it is over capacity. */
export function monitor(watched: Watched): { load(): Load; scrape: Scrape } {
	const { outside, engine, config, log } = watched;
	const { metrics, eventLoop, database, enginePool, claimPool } = outside;
	const backlog = keepBacklog(watched.backlog, log);
	watchGauges(metrics, {
		backlog: backlog.latest,
		engine: () => ({ ...engine.load(), slots: outside.runsTasks ? config.webhook.concurrency : 0 }),
		pools: () => ({ api: database.usage(), engine: enginePool.usage(), claims: claimPool.usage() }),
		loops: watched.liveness,
		eventLoopDelayMs: eventLoop.delayMs,
	});
	return {
		load: () => ({ eventLoopDelayMs: eventLoop.delayMs(), poolWaitMs: database.usage().oldestWaitMs }),
		scrape: async () => {
			await backlog.refresh();
			return metrics.render();
		},
	};
}
