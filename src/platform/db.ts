import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Log } from "../core/log.ts";

/** What a store is built on: the pool, or one transaction. */
export type Database = {
	orm: NodePgDatabase<Record<string, never>>;
	/** Runs a named statement: parsed and planned once per connection, for the hot paths. */
	prepared<Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]): Promise<Row[]>;
};

export type DatabasePool = Database & {
	/** Runs `work` in one transaction; an error rolls it back and is thrown on. */
	transaction<Result>(work: (database: Database) => Promise<Result>): Promise<Result>;
	/** Connections in use, idle and waited for, and how long the first caller in the queue has waited. */
	usage(): { total: number; idle: number; waiting: number; oldestWaitMs: number };
	close(): Promise<void>;
};

type PoolOptions = {
	url: string;
	applicationName: string;
	connectionsMax: number;
	log: Log;
	statementTimeoutMs: number;
	/** Off only where losing the last milliseconds at a crash of Postgres costs no more than a repeat. */
	synchronousCommit?: "on" | "off";
	/**
	 * For statements that touch few rows of large tables by their keys: one plan for every call, always by index.
	 * Left to itself Postgres hashes whole partitions as long as its statistics call them small.
	 */
	plansByKey?: boolean;
};

const byKey = [
	"-c plan_cache_mode=force_generic_plan",
	// Postgres 18.4 and before crash by it: to judge a row again that another transaction changed, a statement makes the
	// state of its run-time pruning anew, in memory that is freed before the next row is looked for.
	"-c enable_partition_pruning=off",
	...["seqscan", "bitmapscan", "hashjoin", "mergejoin", "material"].map((way) => `-c enable_${way}=off`),
];

/** What an answer may take on its way beyond the time in which Postgres itself gives a statement up. */
const onTheWayMs = 5_000;

/**
 * Opens a pool on the control database. Connections are made when first used; one that does not answer, as after the
 * network between has gone without a word, is closed and its statement refused.
 */
export function openDatabase(options: PoolOptions): DatabasePool {
	const pool = new pg.Pool({
		connectionString: options.url,
		application_name: options.applicationName,
		max: options.connectionsMax,
		connectionTimeoutMillis: 5_000,
		idleTimeoutMillis: 30_000,
		keepAlive: true,
		query_timeout: options.statementTimeoutMs + onTheWayMs,
		options: [
			`-c statement_timeout=${options.statementTimeoutMs}`,
			"-c idle_in_transaction_session_timeout=30000",
			`-c synchronous_commit=${options.synchronousCommit ?? "on"}`,
			"-c timezone=UTC",
			...(options.plansByKey ? byKey : []),
		].join(" "),
	});
	const oldestWaitMs = timeWaits(pool);
	// An idle connection that breaks is replaced by the pool; without a listener it would end the process. `end`
	// does not wait for connections that are being closed: Postgres may go first, which is nothing to warn of.
	pool.on("error", (error) => {
		if (!pool.ending) options.log.warn({ err: error }, "an idle database connection broke");
	});
	return {
		...databaseOn(pool),
		transaction: async (work) => {
			const client = await pool.connect();
			let broken: Error | undefined;
			const onBreak = (error: Error) => {
				broken = error;
			};
			// The pool listens to idle connections only: a lent one that breaks would end the process. The next
			// statement on it throws.
			client.on("error", onBreak);
			try {
				await client.query("begin");
				const result = await work(databaseOn(client));
				await client.query("commit");
				return result;
			} catch (error) {
				// The driver takes a time for each statement; its types know it of the connection alone.
				const rollback = { text: "rollback", query_timeout: onTheWayMs };
				await client.query(rollback).catch((rollbackError: Error) => {
					broken = rollbackError;
				});
				throw error;
			} finally {
				client.off("error", onBreak);
				client.release(broken);
			}
		},
		usage: () => ({
			total: pool.totalCount,
			idle: pool.idleCount,
			waiting: pool.waitingCount,
			oldestWaitMs: oldestWaitMs(),
		}),
		close: () => pool.end(),
	};
}

/** Tells how long the first caller has waited that has no connection yet. A pool's queries ask it for one, too. */
function timeWaits(pool: pg.Pool): () => number {
	// In the order they began.
	const waits = new Set<{ since: number }>();
	const connect = pool.connect.bind(pool) as (callback?: Connected) => Promise<pg.PoolClient> | undefined;
	pool.connect = ((callback?: Connected) => {
		const wait = { since: performance.now() };
		waits.add(wait);
		if (!callback) return connect()?.finally(() => waits.delete(wait));
		return connect((...connected) => {
			waits.delete(wait);
			callback(...connected);
		});
	}) as typeof pool.connect;
	return () => {
		const [first] = waits;
		return first === undefined ? 0 : performance.now() - first.since;
	};
}

type Connected = (error: Error | undefined, client: pg.PoolClient | undefined, release: () => void) => void;

/** The same on a connection of one's own. */
export function databaseOn(client: pg.Pool | pg.PoolClient | pg.Client): Database {
	return {
		orm: drizzle({ client }),
		prepared: async (name, text, values) => (await client.query({ name, text, values })).rows,
	};
}

/** Creates a database of ours on the cluster unless it is there. `name` is a plain identifier. */
export async function ensureDatabaseAt(clusterUrl: string, name: string): Promise<void> {
	await onConnection({ connectionString: clusterUrl }, async (client) => {
		const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
		if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
	});
}

/** The major version of a Postgres, as in 15 or 18. Throws what the network or Postgres says within 10 s. */
export function readServerMajorAt(url: string): Promise<number> {
	return onConnection({ connectionString: url, connectionTimeoutMillis: 10_000 }, async (client) => {
		const { rows } = await client.query("select current_setting('server_version_num')::int / 10000 as major");
		return rows[0].major;
	});
}

/** Whether a database has what distributes tables. */
export function hasCitus(url: string): Promise<boolean> {
	return onConnection({ connectionString: url }, async (client) => {
		const asked =
			"select from pg_proc where proname = 'create_distributed_table' and pg_function_is_visible(oid)";
		return (await client.query(asked)).rowCount !== 0;
	});
}

/** Runs `work` on a connection of its own, which ends with it. */
export async function onConnection<Result>(
	config: pg.ClientConfig,
	work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
	const client = new pg.Client(config);
	// Without a listener a connection that breaks would end the process; the next statement on it throws.
	client.on("error", () => undefined);
	await client.connect();
	try {
		return await work(client);
	} finally {
		await client.end();
	}
}
