import type { Api } from "./app.ts";
import { buildApp } from "./app.ts";
import type { Config } from "./config.ts";
import { type Context, createContext, type TaskData } from "./context.ts";
import type { Log } from "./core/log.ts";
import { createEngine, type Engine } from "./deliveries/engine/engine.ts";
import { sweepInbound } from "./inbound/sweep-inbound.ts";
import { createAddressGuard } from "./platform/address-guard.ts";
import { createDatabaseClock } from "./platform/database-clock.ts";
import { type DatabasePool, openDatabase } from "./platform/db.ts";
import { migrateDatabase } from "./platform/migrate.ts";
import { createProjectDatabases } from "./platform/project-db.ts";
import { createQueue, type Queue } from "./platform/queue.ts";
import { createSender } from "./platform/sender.ts";
import { createVault, type EncryptionKey, registerEncryptionKeys } from "./platform/vault.ts";
import { secureCluster } from "./projects/secure-cluster.ts";
import { createProviders } from "./providers/all.ts";
import { createRegistry } from "./providers/registry.ts";
import { buildWorkers } from "./workers.ts";

/** What the server runs on; main.ts finds it, tests give their own. */
export type Ground = {
	config: Config;
	log: Log;
	replica: string;
	databaseUrl: string;
	/** The cluster in which project databases are created, as a role that may create roles and databases. */
	clusterUrl: string;
	keys: EncryptionKey[];
};

export type RunningServer = { ctx: Context; url: string; stop(): Promise<void> };

/** A reason not to start that the operator can mend. */
export class StartRefused extends Error {}

const stopInFlightMs = 20_000;
const clockSyncMs = 60_000;
const sweepMs = 5_000;

/** Starts everything in order: database, context, HTTP, queue, engine. `stop` takes it down in reverse. */
export async function startServer(ground: Ground): Promise<RunningServer> {
	const { config, log } = ground;
	await migrateDatabase(ground.databaseUrl);
	const database = openPool(ground, "api", { connectionsMax: 20, statementTimeoutMs: 30_000 });
	await refuseUnknownKeys(database, ground.keys);
	const clock = createDatabaseClock(database);
	await clock.sync();
	const runsTasks = config.role !== "api";
	const queue = createQueue<TaskData>({ url: ground.databaseUrl, log, connectionsMax: 6, runsTasks });
	const webhookGuard = createAddressGuard({ allow: config.webhookAllowedNetworks });
	const databaseGuard = createAddressGuard({ allow: config.projectDbAllowedNetworks });
	const vault = createVault(ground.keys);
	const sender = createSender({
		guard: webhookGuard,
		deadlineMs: config.webhook.timeoutMs,
		connectionsPerOriginMax: config.webhook.concurrency,
	});
	const projectDatabases = createProjectDatabases({
		...config.projectCluster,
		clusterUrl: ground.clusterUrl,
		guard: databaseGuard,
		log,
	});
	const enginePool = openPool(ground, "engine", { connectionsMax: 4, statementTimeoutMs: 15_000 });
	const claimPool = openPool(ground, "claims", {
		connectionsMax: 2,
		statementTimeoutMs: 15_000,
		synchronousCommit: "off",
	});
	const engine = createEngine({
		config,
		log,
		clock,
		vault,
		sender,
		enginePool,
		claimPool,
		runs: runsTasks,
		queue,
	});
	let url = config.publicUrl ?? "";
	const ctx = createContext({
		config,
		log,
		clock,
		replica: ground.replica,
		publicUrl: () => url,
		wakeDeliveries: engine.wake,
		vault,
		webhookGuard,
		databaseGuard,
		sender,
		providers: createRegistry(createProviders({ clerkOrigin: config.clerkApiUrl })),
		projectDatabases,
		database,
		queue,
	});
	await secureCluster(ctx, ground.databaseUrl);
	const app = await buildApp(ctx, {
		database: async () => {
			await database.prepared("ping", "select 1", []);
			return null;
		},
		queue: async () => (queue.isAlive() ? null : "stopped"),
		deliveries: async () => (engine.isAlive() ? null : "stopped"),
	});
	const timers = [repeat(clockSyncMs, clock.sync, log)];
	if (runsTasks) timers.push(repeat(sweepMs, () => sweepInbound(ctx), log));
	await queue.start(buildWorkers(ctx, engine));
	engine.start();
	const listening = await app.listen({ port: config.port, host: config.host });
	url ||= withLocalHost(listening);
	const stop = once(() =>
		stopAll({
			app,
			queue,
			engine,
			timers,
			closers: [sender, projectDatabases, claimPool, enginePool, database],
		}),
	);
	return { ctx, url: withLocalHost(listening), stop };
}

type Parts = {
	app: Api;
	queue: Queue<TaskData>;
	engine: Engine;
	timers: NodeJS.Timeout[];
	closers: { close(): Promise<void> }[];
};

/** Accepts nothing more, claims nothing more, lets what is in flight finish, then closes the outside. */
async function stopAll({ app, queue, engine, timers, closers }: Parts): Promise<void> {
	timers.forEach(clearInterval);
	const answered = app.close();
	await Promise.all([answered, engine.stop(stopInFlightMs), queue.stop(stopInFlightMs)]);
	for (const closer of closers) await closer.close();
}

function openPool(
	ground: Ground,
	name: string,
	options: { connectionsMax: number; statementTimeoutMs: number; synchronousCommit?: "off" },
): DatabasePool {
	return openDatabase({
		...options,
		url: ground.databaseUrl,
		applicationName: `capydb-${name}`,
		log: ground.log,
	});
}

async function refuseUnknownKeys(database: DatabasePool, keys: EncryptionKey[]): Promise<void> {
	const missing = await registerEncryptionKeys(database, keys);
	if (missing.length === 0) return;
	await database.close();
	throw new StartRefused(
		`The database holds values sealed with encryption keys that are not given: ${missing.join(", ")}. Add them to ENCRYPTION_KEYS.`,
	);
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
