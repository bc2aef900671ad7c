import { type Exit, type ServerProcess, startServerProcess } from "../journeys/server-process.ts";

/** One of several servers on a database, a process of its own that is killed and started again. */
export type Replica = {
	/** As Postgres knows its connections. */
	name: string;
	/** Where it listens; null while it does not. */
	url(): string | null;
	/** Returns when it is ready, or was killed before that. */
	start(): Promise<void>;
	/** kill -9, also while it starts. Returns when the process is gone. */
	kill(): Promise<void>;
	signal(name: NodeJS.Signals): void;
	/** SIGTERM. */
	stop(): Promise<Exit | null>;
	output(): string;
};

type ReplicaOptions = { name: string; dataDir: string; databaseUrl: string; env: Record<string, string> };

export function createReplica({ name, dataDir, databaseUrl, env }: ReplicaOptions): Replica {
	const named = new URL(databaseUrl);
	named.searchParams.set("application_name", name);
	let pid: number | undefined;
	let server: ServerProcess | undefined;
	let starting: Promise<void> | undefined;
	let written = "";

	const start = async () => {
		let own = 0;
		const onSpawn = (_stop: unknown, spawned: number) => {
			own = spawned;
			pid = spawned;
		};
		try {
			const started = await startServerProcess(dataDir, { ...env, DATABASE_URL: named.href }, onSpawn);
			if (pid === own) server = started;
		} catch (error) {
			if (pid === own) throw error;
		}
	};
	const forget = () => {
		written += server?.output() ?? "";
		pid = undefined;
		server = undefined;
	};
	return {
		name,
		url: () => server?.url ?? null,
		start: () => {
			starting = start();
			return starting;
		},
		kill: async () => {
			const [killed, running] = [pid, server];
			forget();
			if (killed === undefined) return;
			process.kill(killed, "SIGKILL");
			await (running?.exited ?? starting);
		},
		signal: (signal) => {
			if (pid !== undefined) process.kill(pid, signal);
		},
		stop: async () => {
			await starting?.catch(() => undefined);
			const exit = (await server?.stop()) ?? null;
			forget();
			return exit;
		},
		output: () => written + (server?.output() ?? ""),
	};
}
