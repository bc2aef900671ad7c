import { expect, inject, it, onTestFinished } from "vitest";
import { type Database, onConnection, openDatabase } from "../../src/platform/db.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";

function pool() {
	const database = openDatabase({
		url: inject("clusterUrl"),
		applicationName: "capydb-test",
		connectionsMax: 1,
		statementTimeoutMs: 5_000,
		log: silentLog,
	});
	onTestFinished(() => database.close());
	return database;
}

async function backendOf(database: Database): Promise<number> {
	const [row] = await database.prepared<{ pid: number }>("pid", "select pg_backend_pid() as pid", []);
	return row?.pid ?? 0;
}

/** Ends a backend as a restart of Postgres does, and returns once it is gone. */
async function terminate(pid: number): Promise<void> {
	await onConnection({ connectionString: inject("clusterUrl") }, async (admin) => {
		await admin.query("select pg_terminate_backend($1)", [pid]);
		const isGone = async () =>
			(await admin.query("select from pg_stat_activity where pid = $1", [pid])).rowCount === 0;
		await until(isGone);
	});
}

it("a transaction whose connection ends between two statements is refused, and nothing else is lost", async () => {
	const database = pool();
	const transaction = database.transaction(async (within) => {
		await terminate(await backendOf(within));
		// Long enough for the driver to hear of it with no statement under way.
		await onConnection({ connectionString: inject("clusterUrl") }, (admin) => admin.query("select 1"));
	});
	await expect(transaction).rejects.toThrow(/not queryable|terminat/i);
	expect(await database.transaction(backendOf)).toBeGreaterThan(0);
});

it("a transaction whose connection ends during a statement is refused, and nothing else is lost", async () => {
	const database = pool();
	const transaction = database.transaction(async (within) => {
		const pid = await backendOf(within);
		await Promise.all([within.prepared("sleep", "select pg_sleep(4)", []), terminate(pid)]);
	});
	await expect(transaction).rejects.toMatchObject({ code: "57P01" });
	expect(await database.transaction(backendOf)).toBeGreaterThan(0);
});
