import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ensureDatabaseAt } from "../../src/platform/db.ts";
import { startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";
import { RECEIVER_TLS } from "../support/receiver.ts";
import { silentLog } from "../support/silent-log.ts";
import type { BareCommands } from "./bare-process.ts";
import { type Child, type ChildOptions, type Commands, startChild } from "./child.ts";
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
	/** The same over TLS, at one host. */
	secureUrlOf(path: string): string;
	postmasterPid: number;
	postgresVersion: string;
	/** Starts a process of this folder, which ends with the site at the latest. */
	start<Served extends Commands>(name: string, options?: ChildOptions): Promise<Child<Served>>;
	/** A server on the database of that name. */
	openServer(database: string, env?: Record<string, string>): Promise<BenchServer>;
	/** Ends everything and removes the folder; `atOnce` without waiting for what is in flight. */
	close(atOnce?: boolean): Promise<void>;
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

type ServerOptions = Pick<Site, "start"> & {
	clusterUrl: string;
	database: string;
	env: Record<string, string>;
};

/** Starts everything on a throw-away folder. What was started is ended again when something cannot be. */
export async function openSite(): Promise<Site> {
	const ends: ((atOnce: boolean) => Promise<unknown>)[] = [];
	let closing: Promise<void> | undefined;
	const close = (atOnce = false) => {
		closing ??= (async () => {
			for (const end of ends.reverse()) await end(atOnce);
		})();
		return closing;
	};
	try {
		return await startSite(ends, close);
	} catch (error) {
		await close(true);
		throw error;
	}
}

async function startSite(
	ends: ((atOnce: boolean) => Promise<unknown>)[],
	close: Site["close"],
): Promise<Site> {
	const dataDir = await mkdtemp(join(tmpdir(), "capydb-bench-"));
	ends.push(() => rm(dataDir, { recursive: true, force: true }));
	const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog });
	ends.push(() => postgres.stop());
	const certificate = join(dataDir, "receiver.pem");
	await writeFile(certificate, RECEIVER_TLS.cert);
	const start = async <Served extends Commands>(name: string, options: ChildOptions = {}) => {
		const env = { ...options.env, NODE_EXTRA_CA_CERTS: certificate };
		const child = await startChild<Served>(name, { ...options, env });
		ends.push(child.stop);
		return child;
	};
	const receiver = await start<ReceiverCommands>("receiver");
	const ports = await receiver.call("ports");
	const pidFile = await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8");
	return {
		receiver,
		bare: await start<BareCommands>("bare"),
		load: await start<LoadCommands>("load"),
		urlOf: (path, host = 0) => `http://${addressOf(host)}:${ports.plain}/${path}`,
		secureUrlOf: (path) => `https://127.0.0.1:${ports.secure}/${path}`,
		postmasterPid: Number(pidFile.split("\n")[0]),
		postgresVersion: await versionOf(postgres.url),
		start,
		openServer: (database, env = {}) => openServer({ start, clusterUrl: postgres.url, database, env }),
		close,
	};
}

function addressOf(host: number): string {
	const block = Math.floor(host / 250);
	return process.platform === "linux" ? `127.0.${block}.${(host % 250) + 1}` : "127.0.0.1";
}

async function openServer({ start, clusterUrl, database, env }: ServerOptions): Promise<BenchServer> {
	await ensureDatabaseAt(clusterUrl, database);
	const location = new URL(clusterUrl);
	location.pathname = `/${database}`;
	const child = await start<ServerCommands>("server", {
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
