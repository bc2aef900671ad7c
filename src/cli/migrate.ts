import { readConfig } from "../config.ts";
import { openPostgres } from "../ground.ts";
import { requireDatabase } from "../outside.ts";
import { migrateDatabase } from "../platform/migrate.ts";
import { installQueue } from "../platform/queue.ts";
import type { Command } from "./command.ts";
import { createCliLog } from "./open-context.ts";

export const migrateCommand: Command = {
	summary: "brings the database to this version's schema, as every start of the server does too",
	details: "An embedded database must not be in use by a server.",
	options: {},
	run: async (_options, { env }) => {
		const config = readConfig(env);
		const postgres = await openPostgres(config, createCliLog());
		try {
			await requireDatabase(postgres.databaseUrl, config);
			await migrateDatabase(postgres.databaseUrl, config.dbBackend);
			await installQueue(postgres.databaseUrl);
		} finally {
			await postgres.stop();
		}
		return { text: "The database is up to date.", json: { migrated: true } };
	},
};
