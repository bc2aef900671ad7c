import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export type ServerProcess = {
	url: string;
	/** The key that the first start on a data folder prints; null on later ones. */
	key: string | null;
	pid: number;
	/** Everything that was written so far, to both outputs. */
	output(): string;
	signal(name: NodeJS.Signals): void;
	exited: Promise<Exit>;
	/** SIGTERM, and what the process ended with. It is killed when that takes longer than half a minute. */
	stop(): Promise<Exit>;
};

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

const ownMain = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const startMs = 60_000;
const stopMs = 30_000;

/**
 * Starts the real server on a data folder and a free port, and returns when it says that it is ready. `onSpawn`
 * hears at once how to stop it, for a caller that is interrupted before then. It leads a process group of its own.
 * `main` is that of another release.
 */
export async function startServerProcess(
	dataDir: string,
	env: Record<string, string> = {},
	onSpawn: (stop: () => Promise<Exit>, pid: number) => void = () => undefined,
	main = ownMain,
): Promise<ServerProcess> {
	const { child, output, exited } = spawnServer(dataDir, env, main);
	onSpawn(() => stop(child, exited), child.pid ?? 0);
	const ready = Promise.withResolvers<string>();
	child.stdout?.on("data", () => {
		const line = output().match(/^\{.*"the server is ready"\}$/m)?.[0];
		if (line !== undefined) ready.resolve(JSON.parse(line).url);
	});
	const timer = setTimeout(
		() => ready.reject(new Error(`No server after ${startMs} ms:\n${output()}`)),
		startMs,
	);
	void exited.then(({ code }) => ready.reject(new Error(`The server ended with ${code}:\n${output()}`)));
	try {
		const url = await ready.promise;
		return {
			url,
			key: output().match(/\bcapy_live_\w+/)?.[0] ?? null,
			pid: child.pid ?? 0,
			output,
			signal: (name) => void child.kill(name),
			exited,
			stop: () => stop(child, exited),
		};
	} catch (error) {
		await stop(child, exited);
		throw error;
	} finally {
		clearTimeout(timer);
	}
}

/** For a start that is refused: what was written, and the code that the process ended with. */
export async function runRefusedServer(dataDir: string, env: Record<string, string>) {
	const { child, output, exited } = spawnServer(dataDir, env);
	const written = once(child, "close");
	const timer = setTimeout(() => void stop(child, exited), startMs);
	const { code } = await exited;
	clearTimeout(timer);
	await written;
	return { code, output: output() };
}

/** Whether the embedded Postgres of a data folder takes connections. */
export async function isPostgresUp(dataDir: string): Promise<boolean> {
	const port = Number(await readFile(join(dataDir, "postgres-port"), "utf8"));
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const socket = connect({ host: "127.0.0.1", port });
	socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
	return promise.finally(() => socket.destroy());
}

function spawnServer(dataDir: string, env: Record<string, string>, main = ownMain) {
	const child = spawn(process.execPath, [main], {
		// Of the caller's variables only those of the system: the server reads many others.
		env: { ...systemVariables(), DATA_DIR: dataDir, PORT: "0", ...env },
		stdio: ["ignore", "pipe", "pipe"],
		// Ctrl-C in the terminal is for the caller, who stops the server in its own time.
		detached: true,
	});
	// However the caller ends, it leaves no server behind.
	const goAlong = () => void child.kill("SIGTERM");
	process.once("exit", goAlong);
	let written = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		written += text;
	});
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		written += text;
	});
	const exited = new Promise<Exit>((resolve) => {
		child.once("error", () => resolve({ code: null, signal: null }));
		// Not "close": a Postgres that outlives a killed server may hold its outputs open.
		child.once("exit", (code, signal) => resolve({ code, signal }));
	});
	void exited.then(() => process.off("exit", goAlong));
	return { child, output: () => written, exited };
}

/** Of the variables of this process those that any program needs. */
export function systemVariables(): Record<string, string> {
	const names = ["PATH", "HOME", "TMPDIR", "TEMP", "SystemRoot"];
	return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

async function stop(child: ChildProcess, exited: Promise<Exit>): Promise<Exit> {
	child.kill("SIGTERM");
	const timer = setTimeout(() => child.kill("SIGKILL"), stopMs);
	return exited.finally(() => clearTimeout(timer));
}
