import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ensureDatabase } from "../../src/platform/db.ts";
import { startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";
import { silentLog } from "../support/silent-log.ts";
import type { BareCommands } from "./bare-process.ts";
import { type Child, startChild } from "./child.ts";
import type { LoadCommands } from "./load-process.ts";
import type { ReceiverCommands } from "./receiver-process.ts";
import type { ServerCommands } from "./server-process.ts";

/** What the cases run on: one Postgres, one receiver and one bare sender, each in a process of its own. */
export type Site = {
	receiver: Child<ReceiverCommands>;
	bare: Child<BareCommands>;
	load: Child<LoadCommands>;
	/** The receiver's address for a path. Endpoints get hosts of their own where the system has 127/8. */
	urlOf(path: string, host?: number): string;
	postmasterPid: number;
	postgresVersion: string;
	/** A server on a database of its own. */
	openServer(database: string, env?: Record<string, string>): Promise<BenchServer>;
	clusterUrl: string;
	close(): Promise<void>;
};

export type BenchServer = {
	child: Child<ServerCommands>;
	url: string;
	databaseUrl: string;
	sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
	/** Calls the API as the operator; throws unless it answers with a 2xx. */
	// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
	call(method: string, path: string, body?: unknown, key?: string): Promise<any>;
	stop(): Promise<void>;
};

const adminToken = "bench-admin-token-0123456789";

/** Starts everything on a throw-away folder. */
export async function openSite(): Promise<Site> {
	const dataDir = await mkdtemp(join(tmpdir(), "capydb-bench-"));
	const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog });
	const receiver = await startChild<ReceiverCommands>("receiver");
	const bare = await startChild<BareCommands>("bare");
	const load = await startChild<LoadCommands>("load");
	const port = await receiver.call("port");
	const pidFile = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8");
	const servers: BenchServer[] = [];
	return {
		receiver,
		bare,
		load,
		urlOf: (path, host = 0) => {
			const address =
				process.platform === "linux" ? `127.0.${Math.floor(host / 250)}.${(host % 250) + 1}` : "127.0.0.1";
			return `http://${address}:${port}/${path}`;
		},
		postmasterPid: Number(pidFile.split("\n")[0]),
		postgresVersion: await versionOf(postgres.url),
		clusterUrl: postgres.url,
		openServer: async (database, env = {}) => {
			const server = await openServer(postgres.url, database, env);
			servers.push(server);
			return server;
		},
		close: async () => {
			for (const server of servers) await server.stop();
			await receiver.stop();
			await bare.stop();
			await load.stop();
			await postgres.stop();
			await rm(dataDir, { recursive: true, force: true });
		},
	};
}

async function openServer(
	clusterUrl: string,
	database: string,
	env: Record<string, string>,
): Promise<BenchServer> {
	await ensureDatabase(clusterUrl, database);
	const location = new URL(clusterUrl);
	location.pathname = `/${database}`;
	const child = await startChild<ServerCommands>("server", {
		env: {
			BENCH_CLUSTER_URL: clusterUrl,
			DATABASE_URL: location.href,
			PORT: "0",
			ADMIN_TOKEN: adminToken,
			BOOTSTRAP: "false",
			WEBHOOK_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8",
			RATE_LIMIT_PER_SECOND: "1000000",
			LOG_LEVEL: "warn",
			...env,
		},
		execArgv: ["--expose-gc"],
	});
	const url = await child.call("url");
	const pool = new pg.Pool({ connectionString: location.href, max: 4 });
	pool.on("error", () => undefined);
	let stopping: Promise<void> | undefined;
	return {
		child,
		url,
		databaseUrl: location.href,
		sql: async (text, values) => (await pool.query(text, values)).rows,
		call: (method, path, body, key = adminToken) => callApi(url, method, path, body, key),
		stop: () => {
			stopping ??= child.stop().then(() => pool.end());
			return stopping;
		},
	};
}

async function callApi(url: string, method: string, path: string, body: unknown, key: string) {
	const answer = await fetch(url + path, {
		method,
		headers: { authorization: `Bearer ${key}`, ...(body ? { "content-type": "application/json" } : {}) },
		...(body ? { body: JSON.stringify(body) } : {}),
	});
	const text = await answer.text();
	if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
	return JSON.parse(text);
}

async function versionOf(clusterUrl: string): Promise<string> {
	const client = new pg.Client({ connectionString: clusterUrl });
	await client.connect();
	const { rows } = await client.query("show server_version");
	await client.end();
	return rows[0].server_version;
}
