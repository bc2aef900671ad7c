// The whole server, as it is shipped, in a process of its own; the parent wakes lanes and reads its usage.
import { readConfig } from "../../src/config.ts";
import type { EndpointId } from "../../src/core/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { startServer } from "../../src/server.ts";
import { serve } from "./child.ts";
import { benchKeys } from "./keys.ts";

const { BENCH_CLUSTER_URL: clusterUrl = "", ...env } = process.env;
const config = readConfig(env);
const { ctx, url, stop } = await startServer({
	config,
	log: createLog({ level: config.logLevel, replica: "bench" }),
	replica: "bench",
	databaseUrl: config.databaseUrl ?? "",
	clusterUrl,
	keys: benchKeys,
});

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
