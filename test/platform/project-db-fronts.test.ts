import { connect, createServer, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import type { ProjectDatabaseTarget } from "../../src/platform/project-db.ts";
import { RECEIVER_TLS } from "../support/receiver.ts";
import { ask, databases, ownTarget, reasonOf, toClose } from "./project-targets.ts";

/** Something in front of the real Postgres, as customers have it. */
async function front(serve: (socket: Socket, postgres: Socket) => void): Promise<ProjectDatabaseTarget> {
	const { host, port: postgresPort } = ownTarget();
	const sockets = new Set<Socket>();
	const server = createServer((socket) => {
		const postgres = connect(postgresPort, host);
		for (const each of [socket, postgres]) {
			sockets.add(each);
			each.on("error", () => undefined);
		}
		serve(socket, postgres);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	toClose.push(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise((resolve) => server.close(resolve));
	});
	return ownTarget({ host: "127.0.0.1", port: (server.address() as { port: number }).port });
}

/** Takes TLS with a certificate that nobody signed. */
function encrypted(socket: Socket, postgres: Socket): void {
	socket.once("data", () => {
		socket.write("S");
		const inside = new TLSSocket(socket, { isServer: true, ...RECEIVER_TLS });
		inside.on("error", () => undefined);
		inside.pipe(postgres).pipe(inside);
	});
}

/** Refuses what PgBouncer refuses: startup options that it does not know. */
function pooler(socket: Socket, postgres: Socket): void {
	socket.once("data", (startup: Buffer) => {
		if (startup.includes("search_path")) {
			const fields = Buffer.from("SFATAL\0C08P01\0Munsupported startup parameter: options\0\0");
			const head = Buffer.from([0x45, 0, 0, 0, fields.length + 4]);
			socket.end(Buffer.concat([head, fields]));
			return;
		}
		postgres.write(startup);
		socket.pipe(postgres).pipe(socket);
	});
}

describe("sslmode", () => {
	it.each(["prefer", "require"] as const)(
		"%s encrypts and asks nobody whose certificate it is",
		async (sslMode) => {
			const target = await front(encrypted);
			expect(await ask(databases(), { ...target, sslMode })).toEqual([{ one: 1 }]);
		},
	);

	it.each(["verify-ca", "verify-full"] as const)(
		"%s refuses a certificate that nobody signed",
		async (sslMode) => {
			const target = await front(encrypted);
			expect(await reasonOf(ask(databases(), { ...target, sslMode }))).toBe("could_not_connect");
		},
	);

	it("prefer goes on without encryption where there is none, require does not", async () => {
		const target = await front((socket, postgres) => void socket.pipe(postgres).pipe(socket));
		expect(await ask(databases(), { ...target, sslMode: "prefer" })).toEqual([{ one: 1 }]);
		expect(await reasonOf(ask(databases(), { ...target, sslMode: "require" }))).toBe("could_not_connect");
	});
});

describe("a pooler that refuses our startup options", () => {
	it("is used without them when a tenant named it, and never otherwise", async () => {
		const target = { ...(await front(pooler)), sslMode: "disable" as const };
		expect(await ask(databases(), target)).toEqual([{ one: 1 }]);
		expect(await reasonOf(ask(databases(), { ...target, isTenantNamed: false }))).toBe("could_not_connect");
	});
});
