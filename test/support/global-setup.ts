import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";
import { migrateDatabase } from "../../src/platform/migrate.ts";
import { installQueue } from "../../src/platform/queue.ts";
import { silentLog } from "./silent-log.ts";

declare module "vitest" {
	interface ProvidedContext {
		/** Superuser URL of the cluster that the tests share. */
		clusterUrl: string;
	}
}

/** Starts one Postgres for the whole run, or takes `TEST_DATABASE_URL`, and migrates the template once. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	const given = process.env.TEST_DATABASE_URL;
	const folder = given ? null : await mkdtemp(join(tmpdir(), "capydb-test-"));
	const embedded = folder
		? await startEmbeddedPostgres({
				dataDir: folder,
				log: silentLog,
				// The data is thrown away: nothing needs to survive a power cut.
				settings: { fsync: "off", full_page_writes: "off", max_connections: "400" },
			})
		: null;
	const clusterUrl = given ?? embedded?.url ?? "";
	await makeTemplate(clusterUrl);
	project.provide("clusterUrl", clusterUrl);
	return async () => {
		await embedded?.stop();
		if (folder) await rm(folder, { recursive: true, force: true });
	};
}

async function makeTemplate(clusterUrl: string): Promise<void> {
	const admin = new pg.Client({ connectionString: clusterUrl });
	await admin.connect();
	await admin.query('drop database if exists "capydb_template" with (force)');
	await admin.query('create database "capydb_template"');
	await admin.end();
	const url = new URL(clusterUrl);
	url.pathname = "/capydb_template";
	await migrateDatabase(url.href);
	await installQueue(url.href);
}
