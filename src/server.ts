import { type Api, buildApp } from "./app.ts";
import type { Config } from "./config.ts";
import { type Context, createBacklogStores, createContext } from "./context.ts";
import { carryThrough } from "./core/carry-through.ts";
import { createLoop, type Loop } from "./core/loop.ts";
import { createEngine, type Engine } from "./deliveries/engine/engine.ts";
import type { ReadinessCheck } from "./http/health.ts";
import { createInboundSweep } from "./inbound/sweep-inbound.ts";
import { monitor } from "./monitoring.ts";
import {
	closeOutside,
	type Ground,
	type Outside,
	openOutside,
	requireDatabase,
	StartRefused,
} from "./outside.ts";
import { isMigrated, migrateDatabase } from "./platform/migrate.ts";
import { ProjectDatabaseError } from "./platform/project-db-errors.ts";
import { refreshAddresses } from "./projects/refresh-addresses.ts";
import { secureCluster } from "./projects/secure-cluster.ts";
import { buildWorkers } from "./workers.ts";

export type RunningServer = { ctx: Context; url: string; stop(): Promise<void> };

const stopInFlightMs = 20_000;
const drainUsualMs = 3_000;
const clockSyncMs = 60_000;
const sweepMs = 5_000;

/**
 * Starts everything in order: database, context, HTTP, queue, engine. `stop` takes it down in reverse. Throws
 * StartRefused for a reason that the operator can mend.
 */
export async function startServer(ground: Ground): Promise<RunningServer> {
	const { config, log } = ground;
	await requireDatabase(ground.databaseUrl, config);
	await migrateDatabase(ground.databaseUrl, config.dbBackend);
	const outside = await openOutside(ground);
	const { queue, runsTasks } = outside;
	const { settleWindowMs } = ground;
	const engine = createEngine({ ...outside, config, log, runs: runsTasks, settleWindowMs });
	let url = config.publicUrl ?? "";
	const ctx = createContext({
		...outside,
		config,
		log,
		replica: ground.replica,
		publicUrl: () => url,
		wakeDeliveries: engine.wake,
	});
	const loops = createLoops(ctx, outside);
	const liveness = () => ({ queue: queue.isAlive(), ...engine.loops(), ...livenessOf(loops) });
	const backlog = createBacklogStores(outside.backlogPool);
	const app = await buildApp(ctx, {
		drainMs: ground.drainMs ?? drainUsualMs,
		...monitor({ config, log, outside, ctx, engine, backlog, liveness }),
		checks: readinessChecks(outside, liveness),
	});
	const stop = once(() => stopAll(app, engine, outside, loops));
	try {
		if (config.dbBackend === "citus") await requireSending(engine);
		await closeCluster(ctx, ground.databaseUrl);
		await refreshAddresses(ctx);
		for (const loop of Object.values(loops)) loop.start();
		await queue.start(buildWorkers(ctx, engine));
		engine.start();
		const listening = await listen(app, config);
		url ||= listening;
		return { ctx, url: listening, stop };
	} catch (error) {
		await stop().catch((stopError: unknown) => log.error({ err: stopError }, "stopping went wrong"));
		throw error;
	}
}

/** Not every statement can be distributed: better no server than one that takes events and cannot send them. */
async function requireSending(engine: Engine): Promise<void> {
	try {
		await engine.prove();
	} catch (cause) {
		const reason = cause instanceof Error ? cause.message : String(cause);
		throw new StartRefused(
			`With DB_BACKEND=citus this release cannot send deliveries: Citus refuses one of its statements (${reason}).`,
			{ cause },
		);
	}
}

async function closeCluster(ctx: Context, databaseUrl: string): Promise<void> {
	try {
		await secureCluster(ctx, databaseUrl);
	} catch (error) {
		if (!(error instanceof ProjectDatabaseError)) throw error;
		throw new StartRefused(`${error.message} It is the one that PROJECT_CLUSTER_URL names.`, {
			cause: error,
		});
	}
}

/** What is done again and again besides the queue's and the engine's loops. */
function createLoops(ctx: Context, { clock, runsTasks }: Outside): Record<string, Loop> {
	const { log } = ctx;
	const sweep = createInboundSweep(ctx);
	return {
		clock: createLoop({ name: "clock", everyMs: clockSyncMs, work: clock.sync, log }),
		...(runsTasks && {
			inbound_sweep: createLoop({ name: "inbound_sweep", everyMs: sweepMs, work: sweep, log }),
		}),
	};
}

function livenessOf(loops: Record<string, Loop>): Record<string, boolean> {
	return Object.fromEntries(Object.entries(loops).map(([name, loop]) => [name, loop.isAlive()]));
}

function readinessChecks(
	{ readinessPool }: Outside,
	liveness: () => Record<string, boolean>,
): Record<string, ReadinessCheck> {
	const ofLoops = Object.keys(liveness()).map((name): [string, ReadinessCheck] => [
		name,
		async () => (liveness()[name] ? null : "stopped"),
	]);
	return {
		database: async () => {
			await readinessPool.prepared("ping", "select 1", []);
			return null;
		},
		migrations: async () => ((await isMigrated(readinessPool)) ? null : "missing"),
		...Object.fromEntries(ofLoops),
	};
}

async function listen(app: Api, { port, host }: Pick<Config, "port" | "host">): Promise<string> {
	try {
		return withLocalHost(await app.listen({ port, host }));
	} catch (cause) {
		const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
		const sentence =
			code === "EADDRINUSE"
				? `Port ${port} of ${host} is taken by another program: stop that program, or set PORT to another port.`
				: `The server cannot listen on port ${port} of ${host} (${code}): set HOST and PORT to what it may use.`;
		throw new StartRefused(sentence, { cause });
	}
}

function withLocalHost(address: string): string {
	return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
}

/**
 * Claims nothing more, lets what is in flight finish, then closes the outside; goes through all of it, and then throws
 * what went wrong. Callers see `/readyz` turn red, since its loops have stopped, before nothing listens any more.
 */
async function stopAll(
	app: Api,
	engine: Engine,
	outside: Outside,
	loops: Record<string, Loop>,
): Promise<void> {
	for (const loop of Object.values(loops)) loop.stop();
	await carryThrough([
		[() => app.close(), () => engine.stop(stopInFlightMs), () => outside.queue.stop(stopInFlightMs)],
		// Those of the last requests.
		[engine.flushWakes],
		[() => closeOutside(outside)],
	]);
}

function once(run: () => Promise<void>): () => Promise<void> {
	let running: Promise<void> | undefined;
	return () => {
		running ??= run();
		return running;
	};
}
