import type { Config } from "./config.ts";
import type { TaskData } from "./context.ts";
import { carryThrough } from "./core/carry-through.ts";
import type { Log } from "./core/log.ts";
import { noTracing, type Tracing } from "./core/tracing.ts";
import { createMeters } from "./meters.ts";
import { type AddressGuard, createAddressGuard } from "./platform/address-guard.ts";
import { createClerkSessions } from "./platform/clerk-sessions.ts";
import { createDatabaseClock } from "./platform/database-clock.ts";
import { type DatabasePool, hasCitus, openDatabase, readServerMajorAt } from "./platform/db.ts";
import { watchEventLoop } from "./platform/event-loop.ts";
import { createTenantHosts } from "./platform/guarded-connector.ts";
import { createResolver, type Resolver } from "./platform/host-resolver.ts";
import { createMetrics } from "./platform/metrics.ts";
import { createPostgresTools } from "./platform/postgres-tools.ts";
import { createProjectDatabases } from "./platform/project-db.ts";
import { createQueue } from "./platform/queue.ts";
import { createSender } from "./platform/sender.ts";
import { createVault, type EncryptionKey, generatedKeyId, registerEncryptionKeys } from "./platform/vault.ts";
import { createProviders, type ProviderOptions } from "./providers/all.ts";
import { createRegistry } from "./providers/registry.ts";

/** What the server runs on; main.ts finds it, tests give their own. */
export type Ground = {
	config: Config;
	log: Log;
	replica: string;
	databaseUrl: string;
	/** The cluster in which project databases are created, as a role that may create roles and databases. */
	clusterUrl: string;
	keys: EncryptionKey[];
	/** Asked about the hosts that tenants name, instead of the system's hosts file and name servers. */
	resolver?: Resolver;
	/** How long the delivery engine gathers results before it writes them, instead of its own. */
	settleWindowMs?: number;
	/** How long callers are still served when the server is stopped, instead of its own. */
	drainMs?: number;
};

export type Outside = Awaited<ReturnType<typeof openOutside>>;

/** A reason not to start that the operator can mend. */
export class StartRefused extends Error {}

const postgresMajorMin = 15;

/** Throws StartRefused unless the control database can be reached and is what the configuration says. */
export async function requireDatabase(
	databaseUrl: string,
	{ dbBackend }: Pick<Config, "dbBackend">,
): Promise<void> {
	let major: number;
	try {
		major = await readServerMajorAt(databaseUrl);
	} catch (cause) {
		const reason = cause instanceof Error ? cause.message || cause.name : String(cause);
		throw new StartRefused(`The database that DATABASE_URL names cannot be used: ${reason}.`, { cause });
	}
	if (major < postgresMajorMin) {
		throw new StartRefused(
			`DATABASE_URL names a Postgres ${major}: the server needs ${postgresMajorMin} or later.`,
		);
	}
	if (dbBackend === "citus" && !(await hasCitus(databaseUrl))) {
		throw new StartRefused(
			"DB_BACKEND=citus needs Citus in the database that DATABASE_URL names: run `create extension citus` there.",
		);
	}
}

/** Opens everything that reaches out of the process. Throws StartRefused when the database needs keys not given. */
export async function openOutside(ground: Ground) {
	const { config, log } = ground;
	const database = openPool(ground, "api", { connectionsMax: 20, statementTimeoutMs: 30_000 });
	await refuseUnknownKeys(database, ground.keys);
	const metrics = createMetrics({ ofProcess: config.metricsToken !== null });
	const meters = createMeters(metrics);
	const tracing = await openTracing(ground);
	const clock = createDatabaseClock(database);
	await clock.sync();
	const runsTasks = config.role !== "api";
	// Citus plans a statement for the values of each call.
	const plansByKey = config.dbBackend === "postgres";
	// One for both: together they leave most threads to others.
	const { resolver = createResolver() } = ground;
	const webhookGuard = createAddressGuard({ allow: config.webhookAllowedNetworks, resolver });
	const databaseGuard = createAddressGuard({ allow: config.projectDbAllowedNetworks, resolver });
	return {
		database,
		metrics,
		meters,
		tracing,
		eventLoop: watchEventLoop(),
		/** Counts what waits; a busy API never hides that it is busy. */
		backlogPool: openPool(ground, "backlog", { connectionsMax: 1, statementTimeoutMs: 2_000, plansByKey }),
		/** Asked whether the database answers; a busy API is shed, and does not make every replica unready at once. */
		readinessPool: openPool(ground, "readiness", { connectionsMax: 1, statementTimeoutMs: 2_000 }),
		/** The delivery engine's own connections: a busy API never keeps it from writing what was sent. */
		enginePool: openPool(ground, "engine", {
			connectionsMax: 4,
			statementTimeoutMs: 15_000,
			plansByKey,
		}),
		claimPool: openPool(ground, "claims", {
			connectionsMax: 3,
			statementTimeoutMs: 15_000,
			synchronousCommit: "off",
			plansByKey,
		}),
		clock,
		queue: createQueue<TaskData>({
			url: ground.databaseUrl,
			log,
			connectionsMax: 6,
			runsTasks,
			onWorker: meters.expectTask,
			onTask: meters.task,
			tracing,
		}),
		runsTasks,
		webhookGuard,
		databaseGuard,
		vault: createVault(ground.keys),
		sender: createSender({
			guard: webhookGuard,
			deadlineMs: config.webhook.timeoutMs,
			connectionsPerOriginMax: config.webhook.concurrency,
		}),
		providers: createRegistry(createProviders(providerOptions(config, webhookGuard))),
		clerkSessions: createClerkSessions({ ...config.clerk, apiUrl: config.clerkApiUrl, clock }),
		projectDatabases: createProjectDatabases({
			...config.projectCluster,
			clusterUrl: ground.clusterUrl,
			guard: databaseGuard,
			log,
		}),
		postgresTools: createPostgresTools({ ...config.postgresTools, guard: databaseGuard }),
	};
}

/** Closes what `openOutside` opened; throws what could not be closed, when all has been tried. The queue has stopped before: its tasks need the rest. */
export async function closeOutside(outside: Outside): Promise<void> {
	const {
		eventLoop,
		queue,
		sender,
		projectDatabases,
		backlogPool,
		readinessPool,
		claimPool,
		enginePool,
		database,
		tracing,
	} = outside;
	eventLoop.close();
	const pools = [backlogPool, readinessPool, claimPool, enginePool, database];
	const parts = [queue, sender, projectDatabases, ...pools, tracing];
	await carryThrough(parts.map((part) => [() => part.close()]));
}

/** What traces with is not even loaded where nothing asks for traces. */
async function openTracing({ config, log, replica }: Ground): Promise<Tracing> {
	const { url, ...options } = config.tracing;
	if (url === null) return noTracing;
	const { createTracing } = await import("./platform/open-telemetry.ts");
	return createTracing({ ...options, url, log, replica });
}

function openPool(
	ground: Ground,
	name: string,
	options: Pick<
		Parameters<typeof openDatabase>[0],
		"connectionsMax" | "statementTimeoutMs" | "synchronousCommit" | "plansByKey"
	>,
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
	const howGenerated = missing.includes(generatedKeyId)
		? ` The key ${generatedKeyId} is the one that was made when none was given: write it as ${generatedKeyId}:<content of DATA_DIR/encryption-key>.`
		: "";
	throw new StartRefused(
		`The database holds values sealed with encryption keys that are not given: ${missing.join(", ")}. Add them to ENCRYPTION_KEYS.${howGenerated}`,
	);
}

function providerOptions(config: Config, guard: AddressGuard): ProviderOptions {
	return {
		vercelOrigin: config.vercelApiUrl,
		vercelOAuth: whole(config.vercelOAuth),
		netlifyOrigin: config.netlifyApiUrl,
		netlifyOAuth: whole(config.netlifyOAuth),
		clerkOrigin: config.clerkApiUrl,
		auth0Origin: config.auth0ApiUrl,
		tenantHosts: createTenantHosts(guard),
	};
}

/** Null while a part is missing. */
function whole<Parts extends Record<string, string | null>>(
	parts: Parts,
): Record<keyof Parts, string> | null {
	return Object.values(parts).includes(null) ? null : (parts as Record<keyof Parts, string>);
}
