// The data folder of a test, the servers started on it, and what they are asked.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { Log } from "../../src/core/log.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";

type Answer = { url?: string; port?: number; refused?: string };

export type Site = {
	/** Closed to all others, as a checkout in root's home is. */
	folder: string;
	dataDir: string;
	warnings: string[];
	errors: string[];
	/** Starts the embedded Postgres in this process. */
	start(settings?: Record<string, string>): Promise<EmbeddedPostgres>;
	/** Starts it in a process of its own, which can be killed. */
	launch(): { child: ChildProcess; answer: Promise<Answer> };
	spawnServer(): Promise<Answer & { child: ChildProcess }>;
	postmasterPid(): Promise<number>;
	/** Stops what still runs and removes the folder. */
	clear(): Promise<void>;
};

const script = fileURLToPath(new URL("./run-embedded-postgres.ts", import.meta.url));

export async function createSite(): Promise<Site> {
	const folder = await realpath(await mkdtemp(join(tmpdir(), "embedded-postgres-")));
	const running: { stop(): Promise<void> }[] = [];
	const site: Site = {
		folder,
		dataDir: join(folder, "data"),
		warnings: [],
		errors: [],
		async start(settings = {}) {
			const postgres = await startEmbeddedPostgres({ dataDir: site.dataDir, log: logInto(site), settings });
			running.push(postgres);
			return postgres;
		},
		launch() {
			const server = launchServer(site.dataDir);
			running.push({ stop: () => terminate(server.child) });
			return server;
		},
		async spawnServer() {
			const { child, answer } = site.launch();
			return { child, ...(await answer) };
		},
		async postmasterPid() {
			return Number.parseInt(await readFile(join(site.dataDir, "postgres", "postmaster.pid"), "utf8"), 10);
		},
		async clear() {
			for (const server of running) await server.stop();
			await rm(folder, { recursive: true, force: true, maxRetries: 10 });
		},
	};
	return site;
}

function logInto(site: Site): Log {
	const ignore = () => undefined;
	const warn = (_fields: Record<string, unknown>, message: string) => void site.warnings.push(message);
	const error = (_fields: Record<string, unknown>, message: string) => void site.errors.push(message);
	const log: Log = { debug: ignore, info: ignore, warn, error, child: () => log };
	return log;
}

function launchServer(dataDir: string): { child: ChildProcess; answer: Promise<Answer> } {
	const child = spawn(process.execPath, [script, dataDir], { stdio: ["ignore", "pipe", "inherit"] });
	const { promise, resolve, reject } = Promise.withResolvers<Answer>();
	child.once("error", reject);
	const lines = createInterface({ input: child.stdout });
	lines.once("line", (line) => resolve(JSON.parse(line)));
	return { child, answer: promise };
}

async function terminate(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	child.kill("SIGTERM");
	await once(child, "exit");
}

export async function kill(child: ChildProcess): Promise<void> {
	const exited = once(child, "exit");
	child.kill("SIGKILL");
	await exited;
}

export async function ask(url: string, query: string): Promise<unknown> {
	const client = new pg.Client({ connectionString: url });
	client.on("error", () => undefined);
	await client.connect();
	try {
		const { rows } = await client.query({ text: query, rowMode: "array" });
		return rows[0]?.[0];
	} finally {
		await client.end().catch(() => undefined);
	}
}

export async function write(url: string): Promise<void> {
	await ask(url, "CREATE TABLE notes AS SELECT 'kept' AS note");
}

export async function read(url: string): Promise<unknown> {
	return ask(url, "SELECT note FROM notes");
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
	const deadline = Date.now() + 20_000;
	while (!(await condition().catch(() => false))) {
		if (Date.now() > deadline) throw new Error("The condition did not come true.");
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
