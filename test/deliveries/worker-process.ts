import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type ServerProcess, startServerProcess } from "../journeys/server-process.ts";
import { encryptionKeys, type TestServer } from "../support/server.ts";

/** A second replica on the database of a test's server, as a process that can be stopped and killed. */
export async function startWorker(server: TestServer, env: Record<string, string>): Promise<ServerProcess> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-worker-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	const variables = {
		DATABASE_URL: server.databaseUrl,
		ENCRYPTION_KEYS: encryptionKeys,
		ROLE: "worker",
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
		...env,
	};
	let worker: ServerProcess | undefined;
	const started = await startServerProcess(folder, variables, (stop) =>
		onTestFinished(async () => {
			// A paused process hears nothing but these two.
			worker?.signal("SIGCONT");
			worker?.signal("SIGKILL");
			await stop();
		}),
	);
	worker = started;
	return started;
}
