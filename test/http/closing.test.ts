import { connect, type Socket } from "node:net";
import fastify from "fastify";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { useClosing } from "../../src/http/closing.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

it("a server that stops answers the request under way, and does not wait for its connection to be given up", async () => {
	const server = await startTestServer({ keep: true });
	const release = await holdRequests(server);
	const client = await keepAliveClient(server);
	client.write(`GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer capy_live_${"0".repeat(32)}\r\n\r\n`);
	await until(async () => {
		const waiting = await server.sql(
			"select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
		);
		return waiting.length === 1;
	});
	const closing = server.close();
	await until(() => isRefused(server));
	await release();
	await until(() => client.answer().includes("HTTP/1.1 401"));
	expect(client.answer().toLowerCase()).toContain("connection: close");
	await closing;
	await until(() => client.isEnded());
});

it("a server that stops cuts off what is not answered in time", async () => {
	const app = fastify({ forceCloseConnections: "idle" });
	useClosing(app, { drainMs: 0, graceMs: 100 });
	const { promise: asked, resolve } = Promise.withResolvers<void>();
	app.get("/", () => {
		resolve();
		return new Promise(() => undefined);
	});
	const answer = fetch(await app.listen({ port: 0, host: "127.0.0.1" }));
	await asked;
	await Promise.all([expect(answer).rejects.toThrow("fetch failed"), app.close()]);
});

it("a server that stops while it is used answers on for a while, and each answer ends its connection", async () => {
	const app = fastify({ forceCloseConnections: "idle", return503OnClosing: false });
	useClosing(app, { drainMs: 1_000, graceMs: 100 });
	app.get("/", () => "here");
	const url = await app.listen({ port: 0, host: "127.0.0.1" });
	expect((await fetch(url)).headers.get("connection")).toBe("keep-alive");
	const startedAt = performance.now();
	const closing = app.close();
	for (const _ of [1, 2]) {
		const answer = await fetch(url);
		expect([answer.status, answer.headers.get("connection")]).toEqual([200, "close"]);
	}
	await closing;
	expect(performance.now() - startedAt).toBeGreaterThanOrEqual(999);
	await expect(fetch(url)).rejects.toThrow("fetch failed");
});

it("a server that stops while nobody uses it waits for nobody", async () => {
	const app = fastify({ forceCloseConnections: "idle" });
	useClosing(app, { drainMs: 60_000, graceMs: 100 });
	await app.listen({ port: 0, host: "127.0.0.1" });
	const startedAt = performance.now();
	await app.close();
	expect(performance.now() - startedAt).toBeLessThan(30_000);
});

/** Requests with a key wait for this lock. */
async function holdRequests(server: TestServer): Promise<() => Promise<void>> {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	await holder.query("begin; lock table api_keys in access exclusive mode");
	return () => holder.end();
}

async function keepAliveClient(server: TestServer) {
	const socket = await open(server);
	onTestFinished(() => void socket.destroy());
	let text = "";
	let ended = false;
	socket.on("data", (chunk) => {
		text += chunk;
	});
	socket.on("end", () => {
		ended = true;
	});
	return { write: (part: string) => socket.write(part), answer: () => text, isEnded: () => ended };
}

function open(server: TestServer): Promise<Socket> {
	const { port } = new URL(server.url);
	const { promise, resolve, reject } = Promise.withResolvers<Socket>();
	const socket = connect(Number(port), "127.0.0.1", () => resolve(socket)).once("error", reject);
	return promise;
}

async function isRefused(server: TestServer): Promise<boolean> {
	try {
		(await open(server)).destroy();
		return false;
	} catch {
		return true;
	}
}
