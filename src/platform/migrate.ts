import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import { onConnection } from "./db.ts";
import { ensurePartitions } from "./partitions.ts";

const folder = fileURLToPath(new URL("../../migrations", import.meta.url));
const lockKey = 7_266_001;

/** Brings the control database to the newest schema, once, however many replicas start together. */
export async function migrateDatabase(url: string): Promise<void> {
	// Closing the session frees the lock too, whatever happened.
	await onConnection({ connectionString: url, application_name: "capydb-migrate" }, async (client) => {
		await client.query("select pg_advisory_lock($1)", [lockKey]);
		await migrate(drizzle({ client }), { migrationsFolder: folder });
		await ensurePartitions(async (statement) => (await client.query(statement)).rows);
	});
}
