import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject, onTestFinished } from "vitest";
import type { Held } from "../fakes/holds.ts";
import { type ServerProcess, startServerProcess } from "../journeys/server-process.ts";
import { encryptionKeys, startTestServer, type TestServer } from "../support/server.ts";

export type CrashServer = {
	/** Runs no jobs: it is there before and after the crash. */
	server: TestServer;
	/** A POST to the process that runs the jobs and is going to die. */
	callDoomed(path: string, call: { key: string; body: unknown }): Promise<unknown>;
	/** Kills that process, lets happen what it had asked for, and starts another on the same database. */
	crash(held: readonly Held[]): Promise<void>;
};

/** A server in two processes on one database, one of which is killed. */
export async function startCrashServer(origins: Record<string, string>): Promise<CrashServer> {
	// One address for all processes, as behind a load balancer.
	const env = { ...origins, PUBLIC_URL: "https://capydb.test" };
	const server = await startTestServer({ env: { ...env, ROLE: "api" } });
	const doomed = await startDoomed(server.databaseUrl, env);
	return {
		server,
		callDoomed: (path, { key, body }) =>
			fetch(`${doomed.url}${path}`, {
				method: "POST",
				headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
				body: JSON.stringify(body),
			}),
		crash: async (held) => {
			doomed.signal("SIGKILL");
			await doomed.exited;
			for (const { release } of held) release();
			// What the dead process held at the platforms is given up.
			await server.advance(25_000);
			await startTestServer({ databaseUrl: server.databaseUrl, env: { ...env, ROLE: "worker" } });
		},
	};
}

async function startDoomed(databaseUrl: string, env: Record<string, string>): Promise<ServerProcess> {
	const dataDir = await mkdtemp(join(tmpdir(), "capydb-doomed-"));
	const doomed = await startServerProcess(dataDir, {
		...env,
		DATABASE_URL: databaseUrl,
		PROJECT_CLUSTER_URL: inject("clusterUrl"),
		ENCRYPTION_KEYS: encryptionKeys,
		BOOTSTRAP: "false",
		ADMIN_TOKEN: randomBytes(16).toString("hex"),
	});
	onTestFinished(async () => {
		await doomed.stop();
		await rm(dataDir, { recursive: true, force: true });
	});
	return doomed;
}
