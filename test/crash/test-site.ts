import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { onConnection } from "../../src/platform/db.ts";
import { advanceSql } from "../support/server.ts";
import { type Lease, type LeaseRow, leasedSql, toLease } from "./kills.ts";
import { openSite, type Site } from "./site.ts";

/** Two replicas on a database of the cluster that the tests share. */
export async function openTestSite(wayOf?: (databaseUrl: string) => string): Promise<Site> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-crash-"));
	const remove = () => rm(folder, { recursive: true, force: true });
	try {
		const site = await openSite({ clusterUrl: inject("clusterUrl"), folder }, wayOf);
		return { ...site, close: () => site.close().finally(remove) };
	} catch (error) {
		await remove();
		throw error;
	}
}

/** The deadline of an attempt, the time to write its result, and a second. */
const leaseMs = 18_000;

/**
 * Moves the clock on by more than a lease, at a moment at which nothing is claimed or written. Returns the leases that
 * this ended.
 */
export function endLeases(site: Pick<Site, "databaseUrl">): Promise<Lease[]> {
	return onConnection({ connectionString: site.databaseUrl }, async (client) => {
		await client.query("begin");
		await client.query("lock table deliveries in share row exclusive mode");
		const { rows } = await client.query<LeaseRow>(leasedSql);
		await client.query(advanceSql(leaseMs));
		await client.query("commit");
		return rows.map(toLease);
	});
}
