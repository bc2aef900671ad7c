import { type Exit, type ServerProcess, startServerProcess } from "../journeys/server-process.ts";

/** One of several servers on a database, a process of its own that is killed and started again. */
export type Replica = {
	/** As Postgres knows its connections. */
	name: string;
	/** Where it listens; null while it does not, or stands still. */
	url(): string | null;
	/** Returns when it is ready, or was killed before that. */
	start(): Promise<void>;
	/** kill -9, also while it starts. Returns when the process is gone. */
	kill(): Promise<void>;
	/** SIGSTOP and SIGCONT. */
	stand(isStill: boolean): void;
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
	let standsStill = false;
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
		url: () => (standsStill ? null : (server?.url ?? null)),
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
		stand: (isStill) => {
			standsStill = isStill;
			if (pid !== undefined) process.kill(pid, isStill ? "SIGSTOP" : "SIGCONT");
		},
		stop: async () => {
			await starting?.catch(() => undefined);
			if (standsStill && pid !== undefined) process.kill(pid, "SIGCONT");
			const stopping = server?.stop();
			forget();
			return (await stopping) ?? null;
		},
		output: () => written + (server?.output() ?? ""),
	};
}
