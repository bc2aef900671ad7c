import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { type Database, databaseOn, onConnection } from "./db.ts";
import { sqlState } from "./db-errors.ts";
import { ensurePartitions } from "./partitions.ts";

const folder = fileURLToPath(new URL("../../migrations", import.meta.url));
const citus = {
	migrationsFolder: fileURLToPath(new URL("../../migrations/citus", import.meta.url)),
	migrationsTable: "__citus_migrations",
};
const lockKey = 7_266_001;
/** Shorter than Postgres waits before it looks for a deadlock (1 s): of two that wait for each other, we give way. */
const lockTimeoutMs = 700;
/** Lets those pass who waited behind us. */
const restMs = 700;
const patienceMs = 120_000;
let newestMs: number | undefined;

/**
 * Brings the control database to the newest schema, once, however many replicas start together. Servers of the
 * release before go on meanwhile: what a statement of theirs holds is waited for only briefly, again and again. With
 * `citus` its growing tables are distributed too.
 */
export async function migrateDatabase(
	url: string,
	backend: "postgres" | "citus" = "postgres",
): Promise<void> {
	// Closing the session frees the lock too, whatever happened.
	await onConnection({ connectionString: url, application_name: "capydb-migrate" }, async (client) => {
		await client.query("select pg_advisory_lock($1)", [lockKey]);
		await client.query(`set lock_timeout = '${lockTimeoutMs}ms'`);
		await givingWay(async () => {
			await migrate(drizzle({ client }), { migrationsFolder: folder });
			if (backend === "citus") await migrate(drizzle({ client }), citus);
			await ensurePartitions(async (statement) => (await client.query(statement)).rows);
		});
	});
}

/** Repeats what finds a lock taken. All of it is done in transactions or may be repeated. */
async function givingWay(work: () => Promise<void>): Promise<void> {
	const deadline = performance.now() + patienceMs;
	for (;;) {
		try {
			return await work();
		} catch (error) {
			const isLocked = ["55P03", "40P01"].includes(sqlState(error) ?? "");
			if (!isLocked || performance.now() > deadline) throw error;
		}
		await delay(restMs);
	}
}

/** Whether the database that a URL names, which may be an empty one, has what `isMigrated` asks for. */
export async function isMigratedAt(url: string): Promise<boolean> {
	return onConnection({ connectionString: url }, async (client) => {
		const { rows } = await client.query("select to_regclass('drizzle.__drizzle_migrations') as found");
		return rows[0].found !== null && isMigrated(databaseOn(client));
	});
}

/** False when the database lacks migrations that this code was written for, as after an older backup was put back. */
export async function isMigrated(database: Database): Promise<boolean> {
	newestMs ??= readMigrationFiles({ migrationsFolder: folder }).at(-1)?.folderMillis ?? 0;
	const [row] = await database.prepared<{ ms: number | null }>(
		"newest_migration",
		"select max(created_at)::float8 as ms from drizzle.__drizzle_migrations",
		[],
	);
	return (row?.ms ?? -1) >= newestMs;
}
