import { type ChildProcess, spawn } from "node:child_process";
import { open, stat, truncate } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { AppError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { asUser, type Cluster, cannotRun } from "./embedded-postgres-cluster.ts";
import { shutDown, stopLeftover } from "./embedded-postgres-leftover.ts";

export type Postmaster = { stop(): Promise<void> };

const readyMs = 60_000;
const collisionMs = 20_000;
const pollMs = 50;
const logBytesMax = 10 * 1024 * 1024;

/** What Postgres writes while remains of a killed one are still going away. */
const collisionPattern = /pre-existing shared memory block|lock file "postmaster\.pid" already exists/;

/**
 * Starts Postgres on the cluster and returns when it answers. What an earlier server left running there is
 * stopped first. Throws a sentence, with the end of Postgres's log, when it does not come up.
 */
export async function startPostmaster(cluster: Cluster, log: Log): Promise<Postmaster> {
	const collisionsEndAt = Date.now() + collisionMs;
	await trimLog(cluster.logFile);
	for (;;) {
		await stopLeftover(cluster, log);
		await cluster.requireFreePort();
		const logStart = await sizeOf(cluster.logFile);
		const child = await spawnPostmaster(cluster);
		const failure = await waitUntilReady(cluster, child);
		if (failure === undefined) return supervise(cluster, child, log);
		await stopChild(cluster, child);
		const written = await readFrom(cluster.logFile, logStart);
		if (!collisionPattern.test(written) || Date.now() > collisionsEndAt)
			throw doesNotStart(cluster, failure, written);
		await sleep(pollMs);
	}
}

/**
 * In a session of its own, so that Ctrl-C in our terminal does not reach it, and with none of our pipes, so
 * that it neither holds them open nor holds our process.
 */
async function spawnPostmaster(cluster: Cluster): Promise<ChildProcess> {
	const parameters = Object.entries(cluster.parameters).flatMap(([name, value]) => [
		"-c",
		`${name}=${value}`,
	]);
	const logFile = await open(cluster.logFile, "a", 0o600);
	try {
		const child = spawn(cluster.binaries.postgres, ["-D", cluster.dir, ...parameters], {
			...asUser(cluster.user),
			detached: true,
			windowsHide: true,
			stdio: ["ignore", logFile.fd, logFile.fd],
		});
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		child.once("spawn", resolve).once("error", reject);
		await promise.catch((cause: unknown) => {
			throw cannotRun(cluster.binaries.postgres, cause);
		});
		child.unref();
		return child;
	} finally {
		await logFile.close();
	}
}

/** Undefined when Postgres answers, else why it does not. */
async function waitUntilReady(cluster: Cluster, child: ChildProcess): Promise<string | undefined> {
	const deadline = Date.now() + readyMs;
	let refusal = "no answer";
	while (Date.now() < deadline) {
		if (hasEnded(child)) return "it ended";
		const answer = await connectOnce(cluster.url);
		if (answer === undefined) return undefined;
		if (answer === "28P01") return "the password kept beside the cluster is not the cluster's";
		refusal = answer;
		await sleep(pollMs);
	}
	return `not ready within ${readyMs / 1000} s, last ${refusal}`;
}

/** Undefined when the connection was made, else the code of the refusal. */
async function connectOnce(url: string): Promise<string | undefined> {
	const client = new pg.Client({
		connectionString: url,
		connectionTimeoutMillis: 5000,
	});
	client.on("error", () => undefined);
	try {
		await client.connect();
		return undefined;
	} catch (error) {
		return error instanceof Error && "code" in error ? String(error.code) : String(error);
	} finally {
		await client.end().catch(() => undefined);
	}
}

function supervise(cluster: Cluster, child: ChildProcess, log: Log): Postmaster {
	let stopping: Promise<void> | undefined;
	child.once("exit", (code, signal) => {
		if (stopping) return;
		log.error({ code, signal }, `The embedded Postgres has ended by itself; its log is ${cluster.logFile}`);
	});
	return {
		stop() {
			stopping ??= stopChild(cluster, child);
			return stopping;
		},
	};
}

async function stopChild(cluster: Cluster, child: ChildProcess): Promise<void> {
	const { pid } = child;
	if (pid === undefined || hasEnded(child)) return;
	await shutDown(cluster, { pid, isAlive: async () => !hasEnded(child) });
}

function hasEnded(child: ChildProcess): boolean {
	return child.exitCode !== null || child.signalCode !== null;
}

function doesNotStart(cluster: Cluster, failure: string, written: string): AppError {
	return new AppError(
		"unavailable",
		"embedded_postgres.failed",
		`The embedded Postgres does not start (${failure}). The end of its log ${cluster.logFile}:\n${written.slice(-2000).trim()}`,
	);
}

async function trimLog(path: string): Promise<void> {
	if ((await sizeOf(path)) > logBytesMax) await truncate(path);
}

async function sizeOf(path: string): Promise<number> {
	return stat(path).then(
		({ size }) => size,
		() => 0,
	);
}

async function readFrom(path: string, start: number): Promise<string> {
	const file = await open(path, "r");
	try {
		const { size } = await file.stat();
		const { buffer, bytesRead } = await file.read(Buffer.alloc(Math.max(size - start, 0)), {
			position: start,
		});
		return buffer.toString("utf8", 0, bytesRead);
	} finally {
		await file.close();
	}
}
