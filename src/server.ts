import { type Api, buildApp } from "./app.ts";
import { type Context, createContext } from "./context.ts";
import type { Log } from "./core/log.ts";
import { createEngine, type Engine } from "./deliveries/engine/engine.ts";
import type { ReadinessCheck } from "./http/health.ts";
import { sweepInbound } from "./inbound/sweep-inbound.ts";
import { closeOutside, type Ground, type Outside, openOutside } from "./outside.ts";
import { migrateDatabase } from "./platform/migrate.ts";
import { refreshAddresses } from "./projects/refresh-addresses.ts";
import { secureCluster } from "./projects/secure-cluster.ts";
import { buildWorkers } from "./workers.ts";

export type RunningServer = { ctx: Context; url: string; stop(): Promise<void> };

const stopInFlightMs = 20_000;
const clockSyncMs = 60_000;
const sweepMs = 5_000;

/**
 * Starts everything in order: database, context, HTTP, queue, engine. `stop` takes it down in reverse. Throws
 * StartRefused for a reason that the operator can mend.
 */
export async function startServer(ground: Ground): Promise<RunningServer> {
	const { config, log } = ground;
	await migrateDatabase(ground.databaseUrl);
	const outside = await openOutside(ground);
	const { queue, clock, runsTasks } = outside;
	const engine = createEngine({ ...outside, config, log, runs: runsTasks });
	let url = config.publicUrl ?? "";
	const ctx = createContext({
		...outside,
		config,
		log,
		replica: ground.replica,
		publicUrl: () => url,
		wakeDeliveries: engine.wake,
	});
	await secureCluster(ctx, ground.databaseUrl);
	await refreshAddresses(ctx);
	const app = await buildApp(ctx, readinessChecks(outside, engine));
	const timers = [repeat(clockSyncMs, clock.sync, log)];
	if (runsTasks) timers.push(repeat(sweepMs, () => sweepInbound(ctx), log));
	await queue.start(buildWorkers(ctx, engine));
	engine.start();
	const listening = withLocalHost(await app.listen({ port: config.port, host: config.host }));
	url ||= listening;
	return { ctx, url: listening, stop: once(() => stopAll(app, engine, outside, timers)) };
}

function readinessChecks({ database, queue }: Outside, engine: Engine): Record<string, ReadinessCheck> {
	return {
		database: async () => {
			await database.prepared("ping", "select 1", []);
			return null;
		},
		queue: async () => (queue.isAlive() ? null : "stopped"),
		deliveries: async () => (engine.isAlive() ? null : "stopped"),
	};
}

/** Accepts nothing more, claims nothing more, lets what is in flight finish, then closes the outside. */
async function stopAll(app: Api, engine: Engine, outside: Outside, timers: NodeJS.Timeout[]): Promise<void> {
	timers.forEach(clearInterval);
	const answered = app.close();
	await Promise.all([answered, engine.stop(stopInFlightMs), outside.queue.stop(stopInFlightMs)]);
	await closeOutside(outside);
}

function repeat(everyMs: number, work: () => Promise<unknown>, log: Log): NodeJS.Timeout {
	return setInterval(() => {
		work().catch((error: unknown) => log.warn({ err: error }, "a repeated task failed"));
	}, everyMs);
}

function withLocalHost(address: string): string {
	return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}

function once(run: () => Promise<void>): () => Promise<void> {
	let running: Promise<void> | undefined;
	return () => {
		running ??= run();
		return running;
	};
}
