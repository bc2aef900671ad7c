// The whole server, as it is shipped, in a process of its own; the parent wakes lanes and reads its usage.
import pg from "pg";
import { readConfig } from "../../src/config.ts";
import type { EndpointId } from "../../src/core/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { startServer } from "../../src/server.ts";
import { serve } from "./child.ts";
import { benchKeys } from "./keys.ts";

const {
	BENCH_CLUSTER_URL: clusterUrl = "",
	BENCH_SETTLE_WINDOW_MS: settleWindowMs,
	BENCH_UNPREPARED: isUnprepared,
	...env
} = process.env;
const config = readConfig(env);
if (isUnprepared) forgetNames();
const { ctx, url, stop } = await startServer({
	config,
	log: createLog({ level: config.logLevel, replica: "bench" }),
	replica: "bench",
	databaseUrl: config.databaseUrl ?? "",
	clusterUrl,
	keys: benchKeys,
	...(settleWindowMs === undefined ? {} : { settleWindowMs: Number(settleWindowMs) }),
});

/** Sends every statement without its name, so that Postgres parses and plans it anew each time. */
function forgetNames(): void {
	const query = pg.Client.prototype.query as (...given: unknown[]) => unknown;
	pg.Client.prototype.query = function (this: pg.Client, ...given: unknown[]) {
		const [first, ...others] = given;
		const isNamed = typeof first === "object" && first !== null && "name" in first;
		return query.call(this, isNamed ? { ...first, name: undefined } : first, ...others);
	} as typeof pg.Client.prototype.query;
}

const commands = {
	url: () => url,
	wake: (endpointIds: EndpointId[]) => ctx.wakeDeliveries(endpointIds),
	usage: () => {
		const { user, system } = process.cpuUsage();
		return { cpuMs: (user + system) / 1000, rssBytes: process.memoryUsage.rss() };
	},
	collectGarbage: () => global.gc?.(),
};

export type ServerCommands = typeof commands;

serve(commands, stop);
