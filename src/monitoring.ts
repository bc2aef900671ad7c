import { keepBacklog } from "./backlog.ts";
import type { Context, createBacklogStores } from "./context.ts";
import type { Engine } from "./deliveries/engine/engine.ts";
import type { Load } from "./http/load-shedding.ts";
import type { Scrape } from "./http/metrics.ts";
import { watchGauges } from "./meters.ts";
import type { Ground, Outside } from "./outside.ts";

type Watched = Pick<Ground, "config" | "log"> & {
	outside: Outside;
	ctx: Pick<Context, "stores" | "publishTogether">;
	engine: Engine;
	backlog: ReturnType<typeof createBacklogStores>;
	/** Each loop of this process, and whether it goes round. */
	liveness(): Record<string, boolean>;
};

/** Makes what `/metrics` shows of the process and the database, and what says that it is over capacity. */
export function monitor(watched: Watched): { load(scope: "api" | "inbound"): Load; scrape: Scrape } {
	const { outside, engine, config, log } = watched;
	const batches = batchesOf(watched.ctx);
	const { metrics, eventLoop, database, enginePool, claimPool } = outside;
	const backlog = keepBacklog(watched.backlog, log);
	watchGauges(metrics, {
		backlog: backlog.latest,
		engine: () => ({ ...engine.load(), slots: outside.runsTasks ? config.webhook.concurrency : 0 }),
		pools: () => ({ api: database.usage(), engine: enginePool.usage(), claims: claimPool.usage() }),
		batches: () =>
			Object.entries({ ...batches.api, ...batches.inbound }).map(([name, batch]) => ({
				name,
				...batch.usage(),
			})),
		loops: watched.liveness,
		eventLoopDelayMs: eventLoop.delayMs,
	});
	return {
		load: (scope) => ({
			eventLoopDelayMs: eventLoop.delayMs(),
			poolWaitMs: database.usage().oldestWaitMs,
			batchWaitMs: Math.max(...Object.values(batches[scope]).map((batch) => batch.usage().oldestWaitMs)),
		}),
		scrape: async () => {
			await backlog.refresh();
			return metrics.render();
		},
	};
}

/** What waits here needs a connection or two, however much it is: the pool's own wait does not show it. */
function batchesOf({ stores, publishTogether }: Watched["ctx"]) {
	return {
		api: { api_keys: stores.apiKeys.findKnown, publish: publishTogether },
		inbound: { integrations: stores.integrations.findForWebhook, inbound: stores.inbound.insert },
	};
}
