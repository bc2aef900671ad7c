import { existsSync } from "node:fs";
import { defineConfig, mergeConfig } from "vitest/config";
import { debianBinaries } from "./previews/debian-cluster.ts";
import config, { dumpRoads } from "./vitest.config.ts";

const isThere = existsSync(`${debianBinaries}/pg_dump`) && existsSync(`${debianBinaries}/postgres`);
if (!isThere) {
	console.log(
		`The clone of databases with pg_dump and backups were NOT tested: there is no Postgres 15 in ${debianBinaries}. On Debian: apt-get install postgresql-15.`,
	);
}

export default mergeConfig(
	{ ...config, test: { ...config.test, include: [], exclude: [] } },
	defineConfig({
		test: {
			include: isThere ? dumpRoads : [],
			passWithNoTests: process.env.DUMP_REQUIRED !== "true",
			testTimeout: 120_000,
		},
	}),
);
