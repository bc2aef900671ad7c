import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Log } from "../core/log.ts";
import { type Cluster, runProgram } from "./embedded-postgres-cluster.ts";

type Target = { pid: number; isAlive: () => Promise<boolean> };

const fastShutdownMs = 30_000;
const immediateShutdownMs = 10_000;
const pollMs = 25;

/**
 * Deals with what an earlier server left when it was killed. A Postgres that still runs on the cluster is
 * stopped. A pid file whose Postgres is gone is made harmless: its number may by now belong to any program,
 * and Postgres would take that for itself. Only for the holder of the data folder's lock.
 */
export async function stopLeftover(cluster: Cluster, log: Log): Promise<void> {
	const pidFile = join(cluster.dir, "postmaster.pid");
	const content = await readFile(pidFile, "utf8").catch(() => undefined);
	if (content === undefined) return;
	const pid = Number.parseInt(content, 10);
	const isAlive = () => isPostgresOf(cluster.dir, pid);
	if (await isAlive()) {
		log.warn({ pid }, "An earlier server left its embedded Postgres running; stopping it");
		await shutDown(cluster, { pid, isAlive });
		return;
	}
	// The other lines stay: Postgres finds surviving backends by them. Its parent's pid, and that is ours,
	// is one that Postgres never takes for another Postgres.
	const rest = content.includes("\n") ? content.slice(content.indexOf("\n")) : "\n";
	await writeFile(pidFile, `${process.pid}${rest}`);
}

/** Fast shutdown, and an immediate one when that takes too long. Returns when the Postgres is gone. */
export async function shutDown(cluster: Cluster, target: Target): Promise<void> {
	if (process.platform === "win32") {
		// Windows knows no signals; pg_ctl has a pipe for them.
		await runProgram(cluster.binaries.pgCtl, ["stop", "-w", "-m", "fast", "-D", cluster.dir], undefined);
		return;
	}
	signal(target.pid, "SIGINT");
	if (await isGone(target, fastShutdownMs)) return;
	signal(target.pid, "SIGQUIT");
	if (await isGone(target, immediateShutdownMs)) return;
	throw new Error(`The embedded Postgres (pid ${target.pid}) does not stop.`);
}

async function isGone(target: Target, withinMs: number): Promise<boolean> {
	const deadline = Date.now() + withinMs;
	while (await target.isAlive()) {
		if (Date.now() > deadline) return false;
		await sleep(pollMs);
	}
	return true;
}

function signal(pid: number, name: NodeJS.Signals): void {
	try {
		process.kill(pid, name);
	} catch {
		// Gone already.
	}
}

/** A pid alone proves nothing, since pids are used again: the process must be a Postgres on this folder. */
async function isPostgresOf(clusterDir: string, pid: number): Promise<boolean> {
	if (!Number.isSafeInteger(pid) || pid <= 0) return false;
	if (process.platform === "win32") {
		return (await outputOf("tasklist", ["/FI", `PID eq ${pid}`, "/FO", "CSV", "/NH"])).includes(
			"postgres.exe",
		);
	}
	// Empty for a process that has ended and only waits to be collected by its parent.
	const commandLine =
		process.platform === "linux"
			? (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ")
			: await outputOf("ps", ["-ww", "-o", "command=", "-p", String(pid)]);
	return commandLine.includes(`postgres -D ${clusterDir} `);
}

async function outputOf(program: string, args: string[]): Promise<string> {
	return promisify(execFile)(program, args).then(
		({ stdout }) => stdout,
		() => "",
	);
}
