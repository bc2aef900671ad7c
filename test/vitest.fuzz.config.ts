import { defineConfig, mergeConfig } from "vitest/config";
import config from "./vitest.config.ts";

// What each full test run does with a fixed seed, at length and with a fresh one. `FUZZ_SEED` repeats a run.
const { FUZZ_SEED = String(Date.now() % 1_000_000), FUZZ_REQUESTS = "20000" } = process.env;

export default mergeConfig(
	{ ...config, test: { ...config.test, include: [] } },
	defineConfig({
		test: {
			include: ["test/hostile/random-requests.test.ts"],
			env: { FUZZ_SEED, FUZZ_REQUESTS },
			testTimeout: 3_600_000,
		},
	}),
);
