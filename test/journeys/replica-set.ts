import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encryptionKeys, type TestServer } from "../support/server.ts";
import { type ServerProcess, startServerProcess } from "./server-process.ts";

export type Role = "all" | "api" | "worker";

export type Replica = ServerProcess & { role: Role };

export type ReplicaSet = {
	/** Starts one more, of this release or of another one's `main`, and returns when it says that it is ready. */
	add(role: Role, main?: string): Promise<Replica>;
	/** Kills what still runs. */
	close(): Promise<void>;
};

/** Replicas as processes of their own, on the database of a test's server. */
export function createReplicaSet(server: TestServer, env: Record<string, string> = {}): ReplicaSet {
	const endings: (() => Promise<void>)[] = [];
	return {
		add: async (role, main) => {
			const folder = await mkdtemp(join(tmpdir(), "capydb-replica-"));
			endings.push(() => rm(folder, { recursive: true, force: true }));
			const variables = {
				DATABASE_URL: server.databaseUrl,
				ENCRYPTION_KEYS: encryptionKeys,
				ADMIN_TOKEN: server.adminToken,
				BOOTSTRAP: "false",
				RATE_LIMIT_PER_SECOND: "100000",
				WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
				ROLE: role,
				...env,
			};
			const onSpawn = (stop: () => Promise<unknown>, pid: number) =>
				endings.push(async () => {
					const ended = stop();
					killQuietly(pid);
					await ended;
				});
			const started = await startServerProcess(folder, variables, onSpawn, main);
			return { ...started, role };
		},
		close: async () => {
			await Promise.all(
				endings
					.splice(0)
					.toReversed()
					.map((end) => end()),
			);
		},
	};
}

function killQuietly(pid: number): void {
	try {
		process.kill(pid, "SIGKILL");
	} catch {
		// It has ended by itself.
	}
}
