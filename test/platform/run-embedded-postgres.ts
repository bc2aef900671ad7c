// A server's process as the tests need one: starts the embedded Postgres on the folder that it is given, says
// so in one line of JSON, and stops it when asked to terminate.
import type { Log } from "../../src/core/log.ts";
import { startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";

const ignore = () => undefined;
const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => log };

const dataDir = process.argv[2];
if (dataDir === undefined) throw new Error("The data folder is missing.");

try {
	const postgres = await startEmbeddedPostgres({ dataDir, log });
	const held = setInterval(ignore, 60_000);
	process.once("SIGTERM", () => {
		clearInterval(held);
		void postgres.stop();
	});
	console.log(JSON.stringify({ url: postgres.url, port: postgres.port }));
} catch (error) {
	console.log(JSON.stringify({ refused: error instanceof Error ? error.message : String(error) }));
	process.exitCode = 1;
}
