import { sql } from "drizzle-orm";
import type { Database } from "./db.ts";

/** Waits until no other transaction holds this name, and holds it until this one ends. */
export async function holdName({ orm }: Pick<Database, "orm">, name: string): Promise<void> {
	await orm.execute(sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`);
}
