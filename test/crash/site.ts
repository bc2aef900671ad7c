import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { ensureDatabaseAt, onConnection } from "../../src/platform/db.ts";
import { startEmbeddedPostgres } from "../../src/platform/embedded-postgres.ts";
import { createClosers } from "../demo/story.ts";
import { type FakeClerk, startFakeClerk } from "../fakes/clerk.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { type Listener, startListener } from "./receiving.ts";
import { createReplica, type Replica } from "./replica.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
type Body = any;

type Call = { key?: string; body?: unknown; rawBody?: string; headers?: Record<string, string> };

/** Two replicas on a database of their own, and all that they talk to. */
export type Site = {
	replicas: [Replica, Replica];
	listener: Listener;
	clerk: FakeClerk;
	vercel: FakeVercel;
	/** Where the control database is. */
	databaseUrl: string;
	/** One statement on it. */
	sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
	/**
	 * Asks a replica that listens, and another one when the answer has none of these statuses or none comes, as a
	 * customer does who means it. Throws when two minutes were not enough.
	 */
	insist(status: number | readonly number[], method: string, path: string, call?: Call): Promise<Body>;
	/** Calls that had to be repeated. */
	repeated(): number;
	close(): Promise<void>;
};

const adminToken = "crash-admin-token-0123456789";
const clerkUsers = 60;

export type Ground = {
	clusterUrl: string;
	folder: string;
	/** Ends Postgres as a crash does, leaves it away until `meanwhile` is done, and starts it again on its data. */
	crash(meanwhile: () => Promise<unknown>): Promise<void>;
	close(): Promise<void>;
};

/** A Postgres of its own on a throw-away folder. */
export async function openGround(settings: Record<string, string> = {}): Promise<Ground> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-crash-"));
	const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 10 });
	try {
		const start = () => startEmbeddedPostgres({ dataDir: folder, log: silentLog, settings });
		let postgres = await start();
		return {
			clusterUrl: postgres.url,
			folder,
			crash: async (meanwhile) => {
				const pidFile = await readFile(join(folder, "postgres", "postmaster.pid"), "utf8");
				process.kill(Number.parseInt(pidFile, 10), "SIGQUIT");
				await postgres.stop();
				await meanwhile();
				postgres = await start();
			},
			close: () => postgres.stop().finally(remove),
		};
	} catch (error) {
		await remove();
		throw error;
	}
}

/**
 * Opens everything on a fresh database, with both replicas ready. `wayOf` gives the way by which the replicas go to
 * it, when they do not go there straight.
 */
export async function openSite(
	{ clusterUrl, folder }: Pick<Ground, "clusterUrl" | "folder">,
	wayOf: (databaseUrl: string) => string = (url) => url,
): Promise<Site> {
	const closers = createClosers();
	const opened = <Part extends { close(): Promise<unknown> }>(part: Part) => {
		closers.add(() => part.close());
		return part;
	};
	try {
		const name = `crash_${randomBytes(4).toString("hex")}`;
		await ensureDatabaseAt(clusterUrl, name);
		closers.add(() => dropDatabase(clusterUrl, name));
		const location = new URL(clusterUrl);
		location.pathname = `/${name}`;
		const listener = await startListener();
		closers.add(() => listener.receiver.close());
		const clerk = opened(await startFakeClerk({ users: clerkUsers }));
		const vercel = opened(await startFakeVercel());
		const env = environment(clusterUrl, { CLERK_API_URL: clerk.origin, VERCEL_API_URL: vercel.origin });
		const common = { dataDir: folder, databaseUrl: wayOf(location.href), env };
		const replicas: Site["replicas"] = [
			createReplica({ ...common, name: "crash-a" }),
			createReplica({ ...common, name: "crash-b" }),
		];
		for (const replica of replicas) closers.add(() => replica.stop());
		await Promise.all(replicas.map((replica) => replica.start()));
		const pool = new pg.Pool({ connectionString: location.href, max: 4 });
		pool.on("error", () => undefined);
		closers.add(() => pool.end());
		const sql: Site["sql"] = async (text, values) => (await pool.query(text, values)).rows;
		const parts = { replicas, listener, clerk, vercel, databaseUrl: location.href, sql };
		return { ...parts, ...asking(replicas), close: closers.closeAll };
	} catch (error) {
		await closers.closeAll();
		throw error;
	}
}

function dropDatabase(clusterUrl: string, name: string): Promise<unknown> {
	return onConnection({ connectionString: clusterUrl }, (client) =>
		client.query(`drop database ${client.escapeIdentifier(name)} with (force)`),
	);
}

function environment(clusterUrl: string, origins: Record<string, string>): Record<string, string> {
	return {
		...origins,
		PROJECT_CLUSTER_URL: clusterUrl,
		PUBLIC_URL: "https://capydb.test",
		ENCRYPTION_KEYS: `crash:${Buffer.alloc(32, 3).toString("base64")}`,
		ADMIN_TOKEN: adminToken,
		BOOTSTRAP: "false",
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
		// With the time to write a result, a lease is 17 s long.
		WEBHOOK_TIMEOUT_MS: "2000",
		WEBHOOK_RETRY_SCHEDULE: "0,1,1,1,1,1,1,1,1,1",
		RATE_LIMIT_PER_SECOND: "100000",
		LOG_LEVEL: "info",
	};
}

function asking(replicas: readonly Replica[]): Pick<Site, "insist" | "repeated"> {
	let repeated = 0;
	let turn = 0;
	const ask = async (method: string, path: string, { key = adminToken, body, rawBody, headers }: Call) => {
		const urls = replicas.flatMap((replica) => replica.url() ?? []);
		turn += 1;
		const url = urls[turn % urls.length];
		if (url === undefined) throw new Error("No replica listens.");
		const sent = rawBody ?? (body === undefined ? undefined : JSON.stringify(body));
		const json = sent === undefined ? {} : { "content-type": "application/json" };
		const answer = await fetch(url + path, {
			method,
			headers: { authorization: `Bearer ${key}`, ...json, ...headers },
			signal: AbortSignal.timeout(30_000),
			...(sent === undefined ? {} : { body: sent }),
		});
		return { status: answer.status, text: await answer.text() };
	};
	return {
		repeated: () => repeated,
		insist: async (status, method, path, call = {}) => {
			let last = "";
			const once = async () => {
				try {
					const answer = await ask(method, path, call);
					if ([status].flat().includes(answer.status))
						return { body: answer.text === "" ? null : JSON.parse(answer.text) };
					last = `${answer.status} ${answer.text}`;
				} catch (error) {
					last = String(error);
				}
				repeated += 1;
				return null;
			};
			try {
				return (await until(once, { everyMs: 100 })).body;
			} catch {
				throw new Error(`${method} ${path} was never answered with ${status}; at last: ${last}`);
			}
		},
	};
}
