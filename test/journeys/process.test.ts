import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import type { Body } from "../demo/client.ts";
import { connectClerk, countUsers, endOfJob } from "../demo/connect-steps.ts";
import { createClosers, openStory } from "../demo/story.ts";
import { emptyDatabase } from "../support/empty-database.ts";
import { startReceiver } from "../support/receiver.ts";
import { until } from "../support/until.ts";
import { type Exit, isPostgresUp, runRefusedServer, startServerProcess } from "./server-process.ts";

async function dataFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-process-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	return folder;
}

async function start(folder: string, env: Record<string, string> = {}) {
	return startServerProcess(folder, env, (stop) => onTestFinished(async () => void (await stop())));
}

async function getJson(url: string, key: string): Promise<{ status: number; body: Body }> {
	const response = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
	return { status: response.status, body: await response.json() };
}

async function kill(server: Awaited<ReturnType<typeof start>>): Promise<void> {
	server.signal("SIGKILL");
	expect(await server.exited).toEqual({ code: null, signal: "SIGKILL" });
}

describe("the server's process", () => {
	it("shows a curl line that works on its first start, is ready, and stops on SIGTERM with code 0", async () => {
		const folder = await dataFolder();
		const server = await start(folder);
		const line = /curl -H '(\w+): ([^']+)' (\S+)/.exec(server.output());
		const [, name = "", value = "", url = ""] = line ?? [];
		const answer = await fetch(url, { headers: { [name]: value } });
		expect(answer.status).toBe(200);
		expect(await answer.json()).toMatchObject({
			organization: { name: "default" },
			principal: { auth_source: "api_key", scopes: ["*"] },
		});
		const ready = await getJson(`${server.url}/readyz`, "");
		expect(ready).toEqual({
			status: 200,
			body: { status: "ok", checks: expect.objectContaining({ database: "ok", queue: "ok" }) },
		});
		expect(await isPostgresUp(folder)).toBe(true);
		server.signal("SIGTERM");
		server.signal("SIGINT");
		server.signal("SIGTERM");
		expect(await server.exited).toEqual({ code: 0, signal: null });
		expect(await isPostgresUp(folder)).toBe(false);
		// Nothing to warn of: Postgres went last.
		expect(server.output()).not.toContain('"level":40');
	});

	it("shows that line with the address where callers find it, which may not be the one that it listens on", async () => {
		const free = await startReceiver();
		await free.close();
		const publicUrl = `http://localhost:${free.port}/hooks`;
		const server = await start(await dataFolder(), { PORT: String(free.port), PUBLIC_URL: publicUrl });
		expect(server.output()).toContain(`' ${publicUrl}/v1/me\n`);
		expect(server.output()).toContain(`The reference is at ${publicUrl}/docs\n`);
		expect((await getJson(`${publicUrl}/v1/me`, server.key ?? "")).status).toBe(200);
	});

	it("starts whole and stops in order when Ctrl-C reaches its process group while it makes its Postgres", async () => {
		const folder = await dataFolder();
		let group = 0;
		const starting = startServerProcess(folder, {}, (stop, pid) => {
			onTestFinished(async () => void (await stop()));
			group = pid;
		});
		let hasBegun = false;
		// Again and again: each of its steps takes a signal in its own way.
		const isMade = async () => {
			const isUnderWay = (await readdir(folder)).some((name) => name.startsWith("initdb-"));
			if (isUnderWay) process.kill(-group, "SIGINT");
			hasBegun ||= isUnderWay;
			return hasBegun && !isUnderWay;
		};
		await until(isMade);
		const server = await starting;
		expect(await server.exited).toEqual({ code: 0, signal: null });
		expect(await isPostgresUp(folder)).toBe(false);
	});

	it("stops on SIGTERM with code 0 while its start waits for another's migration", async () => {
		const url = await emptyDatabase();
		const other = new pg.Client({ connectionString: url });
		await other.connect();
		onTestFinished(() => other.end());
		await other.query("select pg_advisory_lock(7266001)");
		let stop = async (): Promise<Exit> => ({ code: null, signal: null });
		const started = startServerProcess(await dataFolder(), { DATABASE_URL: url }, (stopIt) => {
			stop = stopIt;
			onTestFinished(async () => void (await stopIt()));
		}).catch((error: Error) => error);
		await until(async () => {
			const waiting =
				"select from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())";
			return (await other.query(waiting)).rowCount === 1;
		});
		expect(await stop()).toEqual({ code: 0, signal: null });
		expect(String(await started)).not.toContain("is ready");
	});

	it("keeps keys, databases, their addresses and all data when it is killed and started again", async () => {
		const folder = await dataFolder();
		const killed = await start(folder);
		const key = killed.key ?? "";
		const project = await until(async () => {
			const { body } = await getJson(`${killed.url}/v1/projects`, key);
			return body.projects[0].state === "ready" ? body.projects[0] : null;
		});
		const path = `/v1/projects/${project.id}/connections`;
		const before = await getJson(killed.url + path, key);
		await kill(killed);
		const port = await readFile(join(folder, "postgres-port"), "utf8");

		const server = await start(folder);
		expect(server.key).toBeNull();
		expect(await getJson(server.url + path, key)).toEqual(before);
		expect(before.body.connections.direct_url).toContain(`:${port.trim()}/`);
		expect((await getJson(`${server.url}/readyz`, "")).status).toBe(200);
		expect(await server.stop()).toEqual({ code: 0, signal: null });
	});

	it("ends a backfill that it was killed in, from the page that it had come to", async () => {
		const closers = createClosers();
		onTestFinished(() => closers.closeAll());
		const story = await openStory(12_345, closers);
		const held = story.clerk.holdPage(10);
		const { jobId } = await connectClerk(story);
		await held.reached;
		await until(async () => (await countUsers(story)) === 4_500);
		await kill(story.server);
		held.release();
		const askedBefore = pagesAsked(story.clerk.requests);
		expect(askedBefore).toBe(10);

		const restarted = await story.restart();
		const job = await endOfJob(restarted, jobId);
		expect(job.state).toBe("completed");
		// Nine pages were written, up to four of them together, which may not have been noted yet.
		expect(job.steps.at(-2)).toMatch(/^went on after (2,500|3,000|3,500|4,000|4,500) users$/);
		expect(job.steps.at(-1)).toBe("backfilled 12,345 users");
		expect(await countUsers(restarted)).toBe(12_345);
		// 25 pages of 500 in all; an empty last one is asked for once more.
		expect(pagesAsked(story.clerk.requests) - askedBefore).toBeLessThanOrEqual(21);
	});

	it("names every fault of its configuration at once and ends with code 1", async () => {
		const { code, output } = await runRefusedServer(await dataFolder(), {
			PORT: "eighty",
			ROLE: "boss",
			PUBLIC_URL: "example.com",
			ENCRYPTION_KEYS: "a:short",
			WEBHOOK_RETRY_SCHEDULE: "soon",
		});
		expect(code).toBe(1);
		const lines = output.trim().split("\n");
		expect(lines[0]).toBe("The server cannot start.");
		const named = lines.slice(1).map((line) => line.split(" ")[0]);
		expect(named.sort()).toEqual(["ENCRYPTION_KEYS", "PORT", "PUBLIC_URL", "ROLE", "WEBHOOK_RETRY_SCHEDULE"]);
	});

	it("says what is in the way of its start, ends with code 1, and takes its Postgres with it", async () => {
		const folder = await dataFolder();
		const taken = await startReceiver();
		onTestFinished(taken.close);
		const { code, output } = await runRefusedServer(folder, { PORT: String(taken.port) });
		expect(code).toBe(1);
		expect(output).toMatch(
			`The server cannot start.\nPort ${taken.port} of 127.0.0.1 is taken by another program: stop that program, or set PORT`,
		);
		expect(output).not.toContain("57P01");
		expect(await isPostgresUp(folder)).toBe(false);
	});

	it("says why DATABASE_URL or PROJECT_CLUSTER_URL cannot be used, without the password", async () => {
		const folder = await dataFolder();
		const wrong = new URL(inject("clusterUrl"));
		wrong.password = "not-the-password";
		const refused = await runRefusedServer(folder, { DATABASE_URL: wrong.href });
		expect(refused).toEqual({
			code: 1,
			output: expect.stringMatching(
				/^The server cannot start\.\nThe database that DATABASE_URL names cannot be used: password authentication failed/,
			),
		});
		expect(refused.output).not.toContain("not-the-password");
		const cluster = await runRefusedServer(folder, { PROJECT_CLUSTER_URL: wrong.href });
		expect(cluster).toEqual({
			code: 1,
			output: expect.stringMatching(/The server cannot start\.\n.* PROJECT_CLUSTER_URL names\.\n$/),
		});
		expect(cluster.output).not.toContain("not-the-password");
	});

	it("refuses to start without an encryption key that the database's secrets need, and names it", async () => {
		const folder = await dataFolder();
		const first = `first:${Buffer.alloc(32, 1).toString("base64")}`;
		const second = `second:${Buffer.alloc(32, 2).toString("base64")}`;
		await (await start(folder, { ENCRYPTION_KEYS: first })).stop();
		const { code, output } = await runRefusedServer(folder, { ENCRYPTION_KEYS: second });
		expect(code).toBe(1);
		expect(output).toMatch(/The server cannot start\.\n.*encryption keys.*not given: first\./);
		expect(await isPostgresUp(folder)).toBe(false);
		const rotated = await start(folder, { ENCRYPTION_KEYS: `${second},${first}` });
		expect((await getJson(`${rotated.url}/readyz`, "")).status).toBe(200);
	});

	it("says how the key that it made itself is written, for who gives keys from then on", async () => {
		const folder = await dataFolder();
		await (await start(folder)).stop();
		const given = `given:${Buffer.alloc(32, 1).toString("base64")}`;
		const { code, output } = await runRefusedServer(folder, { ENCRYPTION_KEYS: given });
		expect(code).toBe(1);
		const [, prefix = "", file = ""] =
			/write it as (local:)<content of DATA_DIR\/([\w-]+)>\./.exec(output) ?? [];
		const made = `${prefix}${await readFile(join(folder, file), "utf8")}`;
		const moved = await start(folder, { ENCRYPTION_KEYS: `${given},${made}` });
		expect((await getJson(`${moved.url}/readyz`, "")).status).toBe(200);
	});
});

function pagesAsked(requests: { path: string }[]): number {
	return requests.filter(({ path }) => path === "/v1/users").length;
}
