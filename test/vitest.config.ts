import { defineConfig } from "vitest/config";

/** What needs Postgres's own client programs, which is tested apart: clones with pg_dump, backups. */
export const dumpRoads = ["test/previews/dump-road.test.ts", "test/journeys/backup.test.ts"];

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		// Needs Postgres's own client programs: `npm run test:dump`.
		exclude: dumpRoads,
		globalSetup: ["test/support/global-setup.ts"],
		pool: "forks",
		// Two processes a core would fight over the shared Postgres; each file waits mostly for it anyway.
		maxWorkers: 3,
		// The waits inside end earlier and say for what; these only end what hangs.
		testTimeout: 300_000,
		hookTimeout: 300_000,
	},
});
