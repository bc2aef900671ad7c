import pg from "pg";
import { AppError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type AddressGuard, BlockedAddressError } from "./address-guard.ts";
import type { ProjectConnection, ProjectDatabaseTarget } from "./project-connection.ts";
import { ProjectDatabaseError } from "./project-db-errors.ts";
import { createProjectPool, type Loan, type ProjectPool } from "./project-pool.ts";
import { type SslMode, sslModes } from "./project-url.ts";

export type { ProjectDatabaseTarget } from "./project-connection.ts";

/** One connection to a project's database, as the tenant's own role, `search_path=pg_catalog`. */
export type ProjectDatabaseClient = {
	query<Row extends Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
};

/** A connection to the project cluster as its admin role: roles and databases only. */
export type ClusterAdminClient = ProjectDatabaseClient;

export type ProjectDatabases = {
	/** Runs `work` on a bounded connection (connect 5 s, statement 30 s, lock 5 s). Throws ProjectDatabaseError. */
	use<Result>(
		target: ProjectDatabaseTarget,
		work: (client: ProjectDatabaseClient) => Promise<Result>,
	): Promise<Result>;
	/**
	 * Runs `work` as the cluster's admin role, in the cluster's maintenance database (the one its URL names) or in
	 * a fresh one that no tenant could enter yet.
	 */
	asClusterAdmin<Result>(
		work: (client: ClusterAdminClient) => Promise<Result>,
		options?: { freshDatabase: string },
	): Promise<Result>;
	/** Forgets the kept connections to a target whose credentials changed or whose database goes away. */
	forget(target: Pick<ProjectDatabaseTarget, "host" | "port" | "database">): Promise<void>;
	/** Where this server itself reaches created databases. */
	clusterAddress(): Pick<ProjectDatabaseTarget, "host" | "port" | "sslMode">;
	/** What customers are given as the address of created databases. */
	publicAddress(): {
		host: string;
		directPort: number;
		pooledHost: string | null;
		pooledPort: number | null;
		sslMode: string;
	};
	close(): Promise<void>;
};

type Options = {
	/** The cluster's URL with its admin role. */
	clusterUrl: string;
	publicHost: string | null;
	directPort: number | null;
	pooledHost: string | null;
	pooledPort: number | null;
	guard: Pick<AddressGuard, "resolve">;
	log: Log;
};

/** One `use` may take this long, connecting and waiting for a connection included. */
const useTimeoutMs = 90_000;
const answerBytesMax = 64 * 1024 * 1024;
const watchEveryMs = 50;

/** The adapter of customers' databases and of the cluster that created ones live on. */
export function createProjectDatabases(options: Options): ProjectDatabases {
	const pool = createProjectPool(options.guard);
	const cluster = readClusterUrl(options.clusterUrl);
	return {
		use: (target, work) => use(pool, target, work),
		asClusterAdmin: (work, { freshDatabase } = { freshDatabase: "" }) => {
			const url = freshDatabase === "" ? options.clusterUrl : withDatabase(options.clusterUrl, freshDatabase);
			return asAdmin(url, work, options.log);
		},
		forget: async ({ host, port, database }) => {
			pool.forget((kept) => kept.host === host && kept.port === port && kept.database === database);
		},
		clusterAddress: () => cluster,
		publicAddress: () => ({
			host: options.publicHost ?? cluster.host,
			directPort: options.directPort ?? cluster.port,
			pooledHost:
				options.pooledHost ?? (options.pooledPort === null ? null : (options.publicHost ?? cluster.host)),
			pooledPort:
				options.pooledPort ?? (options.pooledHost === null ? null : (options.directPort ?? cluster.port)),
			sslMode: cluster.sslMode,
		}),
		close: async () => pool.close(),
	};
}

async function use<Result>(
	pool: ProjectPool,
	target: ProjectDatabaseTarget,
	work: (client: ProjectDatabaseClient) => Promise<Result>,
): Promise<Result> {
	const { promise: tooLate, reject } = Promise.withResolvers<never>();
	tooLate.catch(() => undefined);
	const overdue = () =>
		reject(new ProjectDatabaseError("could_not_connect", "The project's database took too long."));
	const timer = setTimeout(overdue, useTimeoutMs);
	try {
		const loan = await borrow(pool, target, tooLate);
		return await runOn(loan, work, tooLate);
	} finally {
		clearTimeout(timer);
	}
}

async function borrow(
	pool: ProjectPool,
	target: ProjectDatabaseTarget,
	tooLate: Promise<never>,
): Promise<Loan> {
	const borrowing = pool.borrow(target);
	try {
		return await Promise.race([borrowing, tooLate]);
	} catch (error) {
		// A connection that comes after the deadline goes straight back.
		borrowing.then((late) => late.giveBack(false)).catch(() => undefined);
		const described = describe(error);
		// Whatever else a database says before it lets anyone in, as one that accepts no connections does.
		throw described.reason === "failed" ? couldNotConnect(error) : described;
	}
}

async function runOn<Result>(
	loan: Loan,
	work: (client: ProjectDatabaseClient) => Promise<Result>,
	tooLate: Promise<never>,
): Promise<Result> {
	const { connection } = loan;
	const stopWatching = watchBytes(connection);
	let isClean = false;
	try {
		const result = await Promise.race([work(clientOn(connection)), tooLate]);
		// A transaction left open must not meet the next borrower.
		isClean = connection.client.getTransactionStatus() === "I";
		return result;
	} finally {
		stopWatching();
		loan.giveBack(isClean);
	}
}

/** The driver gathers an answer in memory: one without end is cut off with its connection. */
function watchBytes(connection: ProjectConnection): () => void {
	const before = connection.bytesRead();
	const timer = setInterval(() => {
		if (connection.bytesRead() - before > answerBytesMax) connection.destroy();
	}, watchEveryMs);
	return () => clearInterval(timer);
}

function clientOn(connection: ProjectConnection): ProjectDatabaseClient {
	return {
		query: async <Row extends Record<string, unknown>>(sql: string, values: unknown[] = []) => {
			try {
				return (await connection.client.query<Row>(sql, values)).rows;
			} catch (error) {
				throw describe(error);
			}
		},
	};
}

/** Says no more to a customer than that it could not connect, was not let in, or was not allowed. */
function describe(error: unknown): ProjectDatabaseError {
	if (error instanceof ProjectDatabaseError) return error;
	if (error instanceof BlockedAddressError) {
		const sentence = "The project's database is at an address that this server does not connect to.";
		return new ProjectDatabaseError("blocked_address", sentence, error);
	}
	const state = error instanceof pg.DatabaseError ? (error.code ?? "") : "08000";
	if (/^28/.test(state)) {
		const sentence = "The project's database refused the user name or password.";
		return new ProjectDatabaseError("authentication_failed", sentence, error);
	}
	if (state === "42501") {
		const sentence = "The project's role lacks a privilege in its database.";
		return new ProjectDatabaseError("missing_privilege", sentence, error);
	}
	if (/^(08|53|57P|3D)/.test(state)) return couldNotConnect(error);
	return new ProjectDatabaseError("failed", failureSentence(state), error);
}

function couldNotConnect(cause: unknown): ProjectDatabaseError {
	return new ProjectDatabaseError("could_not_connect", "Could not connect to the project's database.", cause);
}

function failureSentence(state: string): string {
	if (state === "25006") return "The project's database is read-only just now.";
	if (state === "57014" || state === "55P03") {
		return "The project's database took too long: it is busy, or something holds locks on its tables.";
	}
	return "The project's database refused a statement.";
}

/** Rare enough for a connection of its own each time. The operator's URL is the driver's to read, whole. */
async function asAdmin<Result>(
	url: string,
	work: (client: ClusterAdminClient) => Promise<Result>,
	log: Log,
): Promise<Result> {
	const client = new pg.Client({
		connectionString: url,
		application_name: "capydb-admin",
		connectionTimeoutMillis: 5_000,
		// Making and dropping a database waits for a checkpoint.
		options: "-c search_path=pg_catalog -c statement_timeout=120000 -c lock_timeout=10000",
		query_timeout: 125_000,
	});
	client.on("error", (error) => log.warn({ err: error }, "the connection to the project cluster broke"));
	try {
		await client.connect();
		return await work({
			query: async <Row extends Record<string, unknown>>(sql: string, values: unknown[] = []) =>
				(await client.query<Row>(sql, values)).rows,
		});
	} catch (error) {
		throw describeAdmin(error);
	} finally {
		await client.end().catch(() => undefined);
	}
}

function describeAdmin(error: unknown): unknown {
	if (error instanceof AppError) return error;
	if (error instanceof pg.DatabaseError) {
		if (error.code === "42501") {
			const sentence = "The admin role of the project cluster lacks a privilege.";
			return new ProjectDatabaseError("missing_privilege", sentence, error);
		}
		if (!/^(08|28|53|57P|3D)/.test(error.code ?? "")) return error;
	} else if (!isNetworkError(error)) return error;
	const sentence = "The project cluster cannot be reached just now.";
	return new ProjectDatabaseError("could_not_connect", sentence, error);
}

function isNetworkError(error: unknown): boolean {
	if (!(error instanceof Error)) return false;
	return (
		"code" in error || /timeout expired|Query read timeout|Connection terminated|SSL/.test(error.message)
	);
}

function readClusterUrl(text: string): Pick<ProjectDatabaseTarget, "host" | "port" | "sslMode"> {
	const url = new URL(text);
	const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
	const named: SslMode | undefined = sslModes.find((mode) => mode === url.searchParams.get("sslmode"));
	const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
	return { host, port: Number(url.port || 5432), sslMode: named ?? (isLocal ? "disable" : "prefer") };
}

function withDatabase(text: string, database: string): string {
	const url = new URL(text);
	url.pathname = `/${encodeURIComponent(database)}`;
	return url.toString();
}
