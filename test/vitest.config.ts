import { defineConfig } from "vitest/config";

/** The clone of databases with pg_dump, which is tested apart. */
export const dumpRoad = "test/previews/dump-road.test.ts";

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		// Needs Postgres's own client programs: `npm run test:dump`.
		exclude: [dumpRoad],
		globalSetup: ["test/support/global-setup.ts"],
		pool: "forks",
		// Two processes a core would fight over the shared Postgres; each file waits mostly for it anyway.
		maxWorkers: 3,
		testTimeout: 90_000,
		hookTimeout: 120_000,
	},
});
