import pg from "pg";
import { onTestFinished } from "vitest";
import type { TestServer } from "./server.ts";
import { until } from "./until.ts";

const waitingSql = `select from pg_stat_activity
	where datname = current_database() and wait_event_type = 'Lock' and application_name = $1`;

/** Holds what the statement locks, until it is released or the test ends. */
export async function holding(server: TestServer, lockSql: string, values: unknown[] = []) {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	onTestFinished(() => holder.end());
	await holder.query("begin");
	await holder.query(lockSql, values);
	return {
		/** Until that many connections of the server's pool wait for a lock. */
		waitForWaiting: (count: number, pool: string) =>
			until(async () => (await server.sql(waitingSql, [pool])).length >= count, {
				what: `${count} of ${pool} to wait`,
			}),
		release: () => holder.query("commit"),
	};
}
