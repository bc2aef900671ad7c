import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What becomes of connections: they pass; they are cut and refused; or whatever is sent is swallowed, both ways. */
type Way = "open" | "cut" | "swallowing";

export type PostgresProxy = {
	/** The same URL by way of the proxy. */
	wayOf(url: string): string;
	/** From now on. A connection of which something was swallowed stays dead for ever. */
	become(way: Way): void;
	close(): Promise<void>;
};

/** Stands between a server and its Postgres. */
export async function startProxy(target: { host: string; port: number }): Promise<PostgresProxy> {
	const pairs = new Set<{ sockets: Socket[]; isDead: boolean }>();
	let way: Way = "open";
	const server = createServer((near) => {
		if (way === "cut") return void near.resetAndDestroy();
		const far = way === "open" ? [connect(target)] : [];
		const pair = { sockets: [near, ...far], isDead: way === "swallowing" };
		pairs.add(pair);
		const end = () => {
			pairs.delete(pair);
			for (const socket of pair.sockets) socket.destroy();
		};
		for (const socket of pair.sockets) socket.on("error", () => undefined).once("close", end);
		const pass = (from: Socket, to: Socket | undefined) => {
			from.on("data", (bytes) => {
				if (!pair.isDead) to?.write(bytes);
			});
		};
		pass(near, far[0]);
		if (far[0]) pass(far[0], near);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address() as AddressInfo;
	return {
		wayOf: (url) => {
			const location = new URL(url);
			location.host = `127.0.0.1:${port}`;
			return location.href;
		},
		become: (next) => {
			way = next;
			for (const pair of pairs) {
				if (next === "swallowing") pair.isDead = true;
				if (next === "cut") for (const socket of pair.sockets) socket.resetAndDestroy();
			}
		},
		close: async () => {
			const closed = once(server, "close");
			server.close();
			for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
			await closed;
		},
	};
}
