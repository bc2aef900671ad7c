import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject, onTestFinished } from "vitest";
import { readConfig } from "../../src/config.ts";
import type { Context } from "../../src/context.ts";
import type { Ground } from "../../src/outside.ts";
import { startServer } from "../../src/server.ts";
import { silentLog } from "./silent-log.ts";
import { until } from "./until.ts";

export type Answer = {
	status: number;
	// Answers are looked into by tests of many shapes.
	// biome-ignore lint/suspicious/noExplicitAny: the body is whatever the route answers
	body: any;
	text: string;
	headers: Headers;
};

type CallOptions = {
	key?: string | null;
	body?: unknown;
	rawBody?: string | Buffer;
	headers?: Record<string, string>;
};

export type Tenant = { organizationId: string; projectId: string; key: string };

export type TestServer = {
	url: string;
	ctx: Context;
	databaseUrl: string;
	adminToken: string;
	/** Calls the server over HTTP. Without `key` the admin token is sent; with `key: null` none. */
	call(method: string, path: string, options?: CallOptions): Promise<Answer>;
	/** An organization with a ready project of its own and a key with scope `*`. */
	tenant(name?: string): Promise<Tenant>;
	/** Moves the database's clock, and with it every due time, forward. */
	advance(ms: number): Promise<void>;
	/** One statement on the control database. */
	sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
	close(): Promise<void>;
};

type ServerOptions = {
	env?: Record<string, string>;
	/** Use this database instead of a fresh one, as a second replica or a restart does. */
	databaseUrl?: string;
	/** Closed by the test itself and not at its end. */
	keep?: boolean;
	resolver?: Ground["resolver"];
	/** Silent unless a test looks into it. */
	log?: Ground["log"];
	/** Default: the one that `encryptionKeys` spells. */
	keys?: Ground["keys"];
};

export const testKey = { id: "test", key: Buffer.alloc(32, 7) };
/** The key of every test server, as `ENCRYPTION_KEYS` spells it. */
export const encryptionKeys = `test:${testKey.key.toString("base64")}`;

/** Boots the whole server on a fresh database and a free port. */
export async function startTestServer({
	env = {},
	databaseUrl,
	keep,
	resolver,
	log = silentLog,
	keys = [testKey],
}: ServerOptions = {}): Promise<TestServer> {
	const clusterUrl = inject("clusterUrl");
	const ownUrl = databaseUrl ?? (await cloneTemplate(clusterUrl));
	const adminToken = "test-admin-token-0123456789";
	const config = readConfig({
		PORT: "0",
		ADMIN_TOKEN: adminToken,
		BOOTSTRAP: "false",
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
		RATE_LIMIT_PER_SECOND: "100000",
		...env,
	});
	const { ctx, url, stop } = await startServer({
		config,
		log,
		replica: `test-${randomBytes(3).toString("hex")}`,
		databaseUrl: ownUrl,
		clusterUrl: config.projectCluster.url ?? clusterUrl,
		keys,
		drainMs: 0,
		...(resolver === undefined ? {} : { resolver }),
	});
	const pool = new pg.Pool({ connectionString: ownUrl, max: 2 });
	pool.on("error", () => undefined);
	let isClosed = false;
	const server: TestServer = {
		url,
		ctx,
		databaseUrl: ownUrl,
		adminToken,
		call: (method, path, options) => call(url, adminToken, method, path, options),
		tenant: (name = "tenant") => makeTenant(server, name),
		advance: (ms) => advance(pool, ms),
		sql: async (text, values) => (await queryDespiteDeadlock(pool, text, values)).rows,
		close: async () => {
			if (isClosed) return;
			isClosed = true;
			await stop();
			await pool.end();
			if (databaseUrl === undefined) await dropDatabase(clusterUrl, ownUrl);
		},
	};
	if (!keep) closeWithTest(server);
	return server;
}

/** DDL of a test beside a working server may be a deadlock's victim, which then changed nothing: said again. */
async function queryDespiteDeadlock(pool: pg.Pool, text: string, values?: unknown[]) {
	for (;;) {
		try {
			return await pool.query(text, values);
		} catch (error) {
			if (!(error instanceof pg.DatabaseError && error.code === "40P01")) throw error;
		}
	}
}

/** In a test it closes with the test; in a `beforeAll` the file closes it. */
function closeWithTest(server: TestServer): void {
	try {
		onTestFinished(() => server.close());
	} catch {
		// Called outside a test: `beforeAll` files close it in `afterAll`.
	}
}

async function call(
	url: string,
	adminToken: string,
	method: string,
	path: string,
	{ key, body, rawBody, headers = {} }: CallOptions = {},
): Promise<Answer> {
	const credential = key === undefined ? adminToken : key;
	const hasBody = body !== undefined || rawBody !== undefined;
	const response = await fetch(`${url}${path}`, {
		method,
		headers: {
			...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
			...(hasBody ? { "content-type": "application/json" } : {}),
			...headers,
		},
		...(hasBody ? { body: rawBody === undefined ? JSON.stringify(body) : (rawBody as string) } : {}),
	});
	const text = await response.text();
	return { status: response.status, text, body: parse(text), headers: response.headers };
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}

async function makeTenant(server: TestServer, name: string): Promise<Tenant> {
	const { body: made } = await server.call("POST", "/v1/organizations", { body: { name } });
	const organizationId = made.organization.id;
	const { body: keyed } = await server.call("POST", `/v1/organizations/${organizationId}/api-keys`, {
		body: { name: "test", scopes: ["*"] },
	});
	const key = keyed.plaintext_api_key;
	const { body: created } = await server.call("POST", "/v1/projects", { key, body: { name: "web" } });
	const projectId = created.project.id;
	await until(async () => {
		const { body } = await server.call("GET", `/v1/projects/${projectId}`, { key });
		return body.project.state === "ready";
	});
	return { organizationId, projectId, key };
}

let cloned = 0;

async function cloneTemplate(clusterUrl: string): Promise<string> {
	const name = `capydb_test_${process.pid}_${++cloned}_${randomBytes(3).toString("hex")}`;
	await asAdmin(clusterUrl, (admin) => admin.query(`create database "${name}" template "capydb_template"`));
	const url = new URL(clusterUrl);
	url.pathname = `/${name}`;
	return url.href;
}

async function dropDatabase(clusterUrl: string, databaseUrl: string): Promise<void> {
	const name = new URL(databaseUrl).pathname.slice(1);
	await asAdmin(clusterUrl, (admin) => admin.query(`drop database if exists "${name}" with (force)`));
}

async function asAdmin(clusterUrl: string, work: (admin: pg.Client) => Promise<unknown>): Promise<void> {
	const admin = new pg.Client({ connectionString: clusterUrl });
	await admin.connect();
	try {
		// Two clones at once would refuse each other the template.
		await admin.query("select pg_advisory_lock(7266002)");
		await work(admin);
	} finally {
		await admin.end();
	}
}

async function advance(pool: pg.Pool, ms: number): Promise<void> {
	await pool.query(advanceSql(ms));
}

/** Moves the clock of the database that it is run in. */
export function advanceSql(ms: number): string {
	return `
		do $$
		begin
			execute format('create or replace function clock_now() returns timestamptz language sql stable parallel safe as %L',
				format('select pg_catalog.now() + interval ''%s milliseconds''',
					(extract(epoch from clock_now() - pg_catalog.now()) * 1000 + ${ms})::bigint));
		end $$`;
}
