import { ConfigError, readConfig } from "./config.ts";
import { AppError } from "./core/errors.ts";
import { ensureDatabase } from "./platform/db.ts";
import { startEmbeddedPostgres } from "./platform/embedded-postgres.ts";
import { createLog } from "./platform/log.ts";
import { migrateDatabase } from "./platform/migrate.ts";
import { installQueue } from "./platform/queue.ts";

const usage = `Usage: node src/cli.ts <command>

  migrate   brings the database to this version's schema, as every start of the server does too
`;

process.exitCode = await run(process.argv.slice(2));

async function run([command, ...rest]: string[]): Promise<number> {
	if (command !== "migrate" || rest.length > 0) {
		process.stderr.write(usage);
		return 1;
	}
	try {
		await migrate();
		process.stdout.write("The database is up to date.\n");
		return 0;
	} catch (error) {
		if (!(error instanceof ConfigError || error instanceof AppError)) throw error;
		process.stderr.write(`${error.message}\n`);
		return 1;
	}
}

/** On the database of `DATABASE_URL`, or on the embedded one, which must not be in use by a server. */
async function migrate(): Promise<void> {
	const config = readConfig(process.env);
	if (config.databaseUrl !== null) return migrateTo(config.databaseUrl);
	const log = createLog({ level: "warn", replica: "cli" });
	const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, log });
	try {
		const url = new URL(embedded.url);
		url.pathname = "/capydb";
		await ensureDatabase(embedded.url, "capydb");
		await migrateTo(url.href);
	} finally {
		await embedded.stop();
	}
}

async function migrateTo(url: string): Promise<void> {
	await migrateDatabase(url);
	await installQueue(url);
}
