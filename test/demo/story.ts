import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type FakeClerk, startFakeClerk } from "../fakes/clerk.ts";
import { type FakeVercel, startFakeVercel } from "../fakes/vercel.ts";
import { type Exit, type ServerProcess, startServerProcess } from "../journeys/server-process.ts";
import { until } from "../support/until.ts";
import { type CheckingReceiver, startCheckingReceiver } from "./checking-receiver.ts";
import { type Client, createClient } from "./client.ts";

/** What the steps of the story act on: a real server, a Clerk, a Vercel, a receiver, and the first project. */
export type Story = {
	server: ServerProcess;
	clerk: FakeClerk;
	vercel: FakeVercel;
	receiver: CheckingReceiver;
	call: Client;
	organizationId: string;
	projectId: string;
	/** What Clerk signs its webhooks with. */
	signingSecret: string;
	/** One statement in the project's own database, with the credentials that the API hands out. */
	sql(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
	/** Moves the clock of record, and with it every due time, forward. */
	passHours(hours: number): Promise<void>;
	/** Starts the server again on its folder, after its process has ended. */
	restart(): Promise<Story>;
	/** Stops the server as an operator would, and removes all that was made. Further calls wait likewise. */
	close(): Promise<Exit | null>;
};

export type Closers = { add(close: () => Promise<unknown>): void; closeAll(): Promise<void> };

/** Waits in seconds: short, so that an outage is over within seconds. */
const retrySchedule = "0,1,2,3,4";

/** Starts everything on a throw-away folder. What was started is in `closers`, also when this throws. */
export async function openStory(users: number, closers: Closers): Promise<Story> {
	// In one step with the closer, so that nothing can come in between.
	const dataDir = mkdtempSync(join(tmpdir(), "capydb-story-"));
	closers.add(() => rm(dataDir, { recursive: true, force: true }));
	const clerk = await startFakeClerk({ users });
	closers.add(clerk.close);
	const vercel = await startFakeVercel();
	closers.add(vercel.close);
	const receiver = await startCheckingReceiver();
	closers.add(receiver.close);
	let exit: Exit | null = null;
	const env = {
		CLERK_API_URL: clerk.origin,
		VERCEL_API_URL: vercel.origin,
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
		WEBHOOK_RETRY_SCHEDULE: retrySchedule,
	};
	const start = () =>
		startServerProcess(dataDir, env, (stop) => {
			closers.add(async () => {
				exit = await stop();
			});
		});
	const server = await start();
	const { key } = server;
	if (key === null) throw new Error("The first start printed no API key.");
	const first = createClient(server.url, key);
	const { organization } = await first("GET", "/v1/me");
	const project = await readyProject(first);
	const signingSecret = `whsec_${randomBytes(32).toString("base64")}`;
	const on = (running: ServerProcess): Story => {
		const call = createClient(running.url, key);
		return {
			server: running,
			clerk,
			vercel,
			receiver,
			call,
			organizationId: organization.id,
			projectId: project.id,
			signingSecret,
			sql: (text, values = []) => projectSql(call, project.id, text, values),
			passHours: (hours) => passHours(dataDir, hours),
			restart: async () => on(await start()),
			close: async () => {
				await closers.closeAll();
				return exit;
			},
		};
	};
	return on(server);
}

/** Closes what was added, the last first, once: a second call waits for the first, what comes late is closed. */
export function createClosers(): Closers {
	const closers: (() => Promise<unknown>)[] = [];
	let closing: Promise<void> | undefined;
	const run = async () => {
		for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
	};
	return {
		add: (close) => {
			if (closing === undefined) closers.push(close);
			else void close();
		},
		closeAll: () => {
			closing ??= run();
			return closing;
		},
	};
}

function readyProject(call: Client): Promise<{ id: string }> {
	return until(
		async () => {
			const { projects } = await call("GET", "/v1/projects");
			return projects[0]?.state === "ready" ? projects[0] : null;
		},
		{ what: "the first project" },
	);
}

async function projectSql(call: Client, projectId: string, text: string, values: unknown[]) {
	const { connections } = await call("GET", `/v1/projects/${projectId}/connections`);
	const client = new pg.Client({ connectionString: connections.direct_url });
	// One that the server ends meanwhile makes the statement throw, and nothing else.
	client.on("error", () => undefined);
	await client.connect();
	try {
		return (await client.query(text, values)).rows;
	} finally {
		await client.end();
	}
}

async function passHours(dataDir: string, hours: number): Promise<void> {
	const [port = "", password = ""] = await Promise.all(
		["postgres-port", "postgres-password"].map(async (name) =>
			(await readFile(join(dataDir, name), "utf8")).trim(),
		),
	);
	const client = new pg.Client(`postgres://postgres:${password}@127.0.0.1:${port}/capydb`);
	await client.connect();
	try {
		await client.query(`create or replace function clock_now() returns timestamptz language sql stable parallel safe
			as $$ select pg_catalog.now() + interval '${hours} hours' $$`);
	} finally {
		await client.end();
	}
}
