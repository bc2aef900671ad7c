import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject, onTestFinished } from "vitest";

/** A database without anything in it. It goes after the servers that the test starts on it. */
export async function emptyDatabase(): Promise<string> {
	const name = `capydb_empty_${randomBytes(4).toString("hex")}`;
	const admin = new pg.Client({ connectionString: inject("clusterUrl") });
	await admin.connect();
	onTestFinished(async () => {
		await admin.query(`drop database if exists "${name}" with (force)`);
		await admin.end();
	});
	await admin.query(`create database "${name}"`);
	const url = new URL(inject("clusterUrl"));
	url.pathname = `/${name}`;
	return url.href;
}
