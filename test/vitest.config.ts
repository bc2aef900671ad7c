import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		root: new URL("..", import.meta.url).pathname,
		include: ["test/**/*.test.ts"],
		globalSetup: ["test/support/global-setup.ts"],
		pool: "forks",
		// Two processes a core would fight over the shared Postgres; each file waits mostly for it anyway.
		maxWorkers: 3,
		testTimeout: 30_000,
		hookTimeout: 60_000,
	},
});
