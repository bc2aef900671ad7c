import { createServer, type Server, type Socket } from "node:net";
import pg from "pg";
import { describe, expect, inject, it } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createProjectDatabases, type ProjectDatabaseTarget } from "../../src/platform/project-db.ts";
import { emptyDatabase } from "../support/empty-database.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { ask, databases, ownTarget, reasonOf, toClose } from "./project-targets.ts";

/** A server that says whatever it likes to whoever connects. */
async function hostile(
	speak: (socket: Socket) => void,
): Promise<{ target: ProjectDatabaseTarget; sockets: Set<Socket> }> {
	const sockets = new Set<Socket>();
	const server: Server = createServer((socket) => {
		sockets.add(socket);
		socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
		socket.once("data", () => speak(socket));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	toClose.push(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise((resolve) => server.close(resolve));
	});
	const { port } = server.address() as { port: number };
	return { target: ownTarget({ host: "127.0.0.1", port, sslMode: "disable" }), sockets };
}

function message(type: string, body: Buffer): Buffer {
	const head = Buffer.alloc(5);
	head.write(type, 0, "latin1");
	head.writeInt32BE(body.length + 4, 1);
	return Buffer.concat([head, body]);
}

const letIn = Buffer.concat([message("R", Buffer.alloc(4)), message("Z", Buffer.from("I"))]);

describe("a connection to a project's database", () => {
	it("has the bounds and the search path that every statement of ours counts on", async () => {
		const names = ["search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
		const rows = await databases().use(ownTarget(), (client) =>
			client.query<{ value: string }>("select current_setting(n) as value from unnest($1::text[]) n", [
				names,
			]),
		);
		expect(rows.map((row) => row.value)).toEqual(["pg_catalog", "30s", "5s", "30s"]);
	});

	it("is kept for the next use, never lent twice, and at most four are open for one target", async () => {
		const on = databases();
		const pids = await Promise.all(
			Array.from({ length: 12 }, () =>
				on.use(ownTarget(), async (client) => {
					const [row] = await client.query<{ pid: number }>("select pg_backend_pid() as pid, pg_sleep(0.05)");
					return row?.pid;
				}),
			),
		);
		expect(new Set(pids).size).toBe(4);
	});

	it("is one of at most twenty to one Postgres, however many of its targets are asked for, each in its turn", async () => {
		const on = databases();
		const database = new URL(await emptyDatabase()).pathname.slice(1);
		let lent = 0;
		let lentMost = 0;
		let openMost = 0;
		const use = (n: number) =>
			on.use(ownTarget({ database, options: `-c capydb.target=${n}` }), async (client) => {
				lent += 1;
				lentMost = Math.max(lentMost, lent);
				const [row] = await client.query<{ open: number }>(
					"select count(*)::int as open, pg_sleep(0.05) from pg_stat_activity where datname = current_database()",
				);
				openMost = Math.max(openMost, row?.open ?? 0);
				lent -= 1;
			});
		await Promise.all(Array.from({ length: 120 }, (_, n) => use(n % 30)));
		expect(lentMost).toBe(20);
		// Postgres takes a moment to see that one was closed.
		expect(openMost).toBeLessThan(27);
		for (let n = 0; n < 20; n += 1) await use(n);
		// A target that is not kept does not wait for those that are: that would be five seconds.
		const startedAt = performance.now();
		for (let n = 100; n < 105; n += 1) await use(n);
		expect(performance.now() - startedAt).toBeLessThan(4_000);
	});

	it("does not carry an open transaction to the next use", async () => {
		const on = databases();
		await on.use(ownTarget(), (client) => client.query("begin"));
		const [row] = await on.use(ownTarget(), (client) =>
			client.query<{ free: boolean }>("select now() = statement_timestamp() as free"),
		);
		expect(row?.free).toBe(true);
	});

	it("is a new one after the target was forgotten", async () => {
		const on = databases();
		const pid = () =>
			on.use(
				ownTarget(),
				async (client) => (await client.query<{ pid: number }>("select pg_backend_pid() as pid"))[0]?.pid,
			);
		const first = await pid();
		expect(await pid()).toBe(first);
		await on.forget(ownTarget());
		expect(await pid()).not.toBe(first);
	});

	it("that broke while it was kept is replaced", async () => {
		const on = databases();
		const pid = () =>
			on.use(
				ownTarget(),
				async (client) => (await client.query<{ pid: number }>("select pg_backend_pid() as pid"))[0]?.pid,
			);
		const first = await pid();
		await on.asClusterAdmin((admin) => admin.query("select pg_terminate_backend($1)", [first]));
		await until(async () => (await pid().catch(() => first)) !== first);
	});
});

describe("what goes wrong with a project's database", () => {
	it("is a refused password", async () => {
		expect(await reasonOf(ask(databases(), ownTarget({ password: "wrong" })))).toBe("authentication_failed");
	});

	it("is a database or a server that is not there", async () => {
		expect(await reasonOf(ask(databases(), ownTarget({ database: "no_such_database" })))).toBe(
			"could_not_connect",
		);
		expect(await reasonOf(ask(databases(), ownTarget({ port: 1 })))).toBe("could_not_connect");
	});

	it("is a missing encryption that the URL demands", async () => {
		expect(await reasonOf(ask(databases(), ownTarget({ sslMode: "require" })))).toBe("could_not_connect");
	});

	it("is an address that the operator has not allowed, whatever it is called", async () => {
		expect(await reasonOf(ask(databases([]), ownTarget()))).toBe("blocked_address");
		const rebinding = databases([], async () => [{ address: "127.0.0.1", family: 4 }]);
		expect(await reasonOf(ask(rebinding, ownTarget({ host: "db.example.com" })))).toBe("blocked_address");
	});

	it("is judged again at every connection, and connected to as judged", async () => {
		let asked = 0;
		const on = databases(["127.0.0.0/8"], async () => [
			{ address: asked++ === 0 ? "127.0.0.1" : "169.254.169.254", family: 4 },
		]);
		const named = ownTarget({ host: "db.example.com" });
		await ask(on, named);
		await on.forget(named);
		expect(await reasonOf(ask(on, named))).toBe("blocked_address");
	});

	it("is a statement that it refuses, and the caller's own errors pass unchanged", async () => {
		const on = databases();
		expect(await reasonOf(on.use(ownTarget(), (client) => client.query("select no_such_thing")))).toBe(
			"failed",
		);
		const own = new Error("own");
		await expect(on.use(ownTarget(), () => Promise.reject(own))).rejects.toBe(own);
	});
});

describe("a hostile server", () => {
	it("that speaks no Postgres costs a connection and not the process", async () => {
		const { target } = await hostile((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
		expect(await reasonOf(ask(databases(), target))).toBe("could_not_connect");
	});

	it.each([
		["a row description that ends early", message("T", Buffer.from([0x7f, 0xff, 1]))],
		[
			"a data row that lies about its columns",
			message("D", Buffer.from([0x00, 0x05, 0x7f, 0xff, 0xff, 0xff])),
		],
		["an error without an end", message("E", Buffer.from("S"))],
		["an error whose fields do not end", message("E", Buffer.from("SERROR\0"))],
		["a notice without fields", message("N", Buffer.alloc(0))],
		["an error of a gigabyte", Buffer.from([0x45, 0x40, 0, 0, 0, 0x53])],
		["an authentication request that ends early", message("R", Buffer.from([0]))],
		["a message of negative length", Buffer.from([0x5a, 0xff, 0xff, 0xff, 0xff, 0x49])],
		["a copy that nobody asked for", message("G", Buffer.from([0, 0x7f, 0xff]))],
	])("that sends %s costs a connection and not the process", async (_what, garbage) => {
		const { target } = await hostile((socket) => {
			socket.write(letIn);
			socket.on("data", () => socket.write(garbage, () => socket.end()));
		});
		expect(await reasonOf(ask(databases(), target))).toMatch(
			/could_not_connect|failed|authentication_failed/,
		);
	});

	it("that never answers is given up after five seconds", async () => {
		const { target } = await hostile(() => undefined);
		const startedAt = Date.now();
		expect(await reasonOf(ask(databases(), target))).toBe("could_not_connect");
		expect(Date.now() - startedAt).toBeLessThan(30_000);
	});

	it("that sends without end is cut off", async () => {
		const flood = message(
			"S",
			Buffer.concat([Buffer.from("a\0"), Buffer.alloc(1024 * 1024, 0x78), Buffer.alloc(1)]),
		);
		const { target, sockets } = await hostile((socket) => {
			socket.write(letIn);
			socket.on("data", () => {
				const pour = () => {
					while (!socket.destroyed && socket.write(flood));
				};
				socket.on("drain", pour);
				pour();
			});
		});
		expect(await reasonOf(ask(databases(), target))).toBe("could_not_connect");
		await until(() => sockets.size === 0);
	});
});

describe("the project cluster", () => {
	it("is reached as its admin role, in the database that its URL names or in a fresh one", async () => {
		const on = databases();
		const where = "select current_database() as name";
		expect(await on.asClusterAdmin((admin) => admin.query(where))).toEqual([{ name: "postgres" }]);
		const fresh = await on.asClusterAdmin((admin) => admin.query(where), { freshDatabase: "template1" });
		expect(fresh).toEqual([{ name: "template1" }]);
	});

	it("that is away is said to be away", async () => {
		const url = new URL(inject("clusterUrl"));
		url.port = "1";
		const on = createProjectDatabases({
			clusterUrl: url.href,
			publicHost: "db.example.com",
			directPort: 5432,
			pooledHost: null,
			pooledPort: 6432,
			guard: createAddressGuard({ allow: [] }),
			log: silentLog,
		});
		expect(await reasonOf(on.asClusterAdmin((admin) => admin.query("select 1")))).toBe("could_not_connect");
		expect(on.publicAddress()).toEqual({
			host: "db.example.com",
			directPort: 5432,
			pooledHost: "db.example.com",
			pooledPort: 6432,
			sslMode: "disable",
		});
	});

	it("takes verifiers of our own making for passwords", async () => {
		const { scramVerifier } = await import("../../src/projects/scram-verifier.ts");
		const on = databases();
		const role = `scram_${process.pid}`;
		await on.asClusterAdmin((admin) =>
			admin.query(`create role ${role} login password '${scramVerifier("pass word")}'`),
		);
		toClose.push(() => on.asClusterAdmin((admin) => admin.query(`drop role ${role}`)));
		const url = new URL(inject("clusterUrl"));
		url.username = role;
		url.password = "pass%20word";
		// The database may be closed to this role by now (42501); a wrong password would be 28P01.
		const client = new pg.Client({ connectionString: url.href });
		const code = await client.connect().then(
			() => "connected",
			(error: { code?: string }) => error.code,
		);
		await client.end();
		expect(["connected", "42501"]).toContain(code);
	});
});
