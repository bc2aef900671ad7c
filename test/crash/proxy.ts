import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What becomes of connections: they pass; they are cut and refused; or whatever is sent is swallowed, both ways. */
type Way = "open" | "cut" | "swallowing";

export type PostgresProxy = {
	/** The same URL by way of the proxy. */
	wayOf(url: string): string;
	/** From now on. A connection of which something was swallowed stays dead for ever. */
	become(way: Way): void;
	/** Cuts the first connection that says these words, one after another, when Postgres answers the last. Resolves then. */
	loseAnswerTo(...words: string[]): Promise<void>;
	close(): Promise<void>;
};

/** Stands between a server and its Postgres. */
export async function startProxy(target: { host: string; port: number }): Promise<PostgresProxy> {
	const pairs = new Set<{ sockets: Socket[]; isDead: boolean; wordsSaid: number }>();
	let way: Way = "open";
	let losing: { words: string[]; lost: () => void } | undefined;
	const server = createServer((near) => {
		if (way === "cut") return void near.resetAndDestroy();
		const far = way === "open" ? [connect(target)] : [];
		const pair = { sockets: [near, ...far], isDead: way === "swallowing", wordsSaid: 0 };
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
		near.on("data", (bytes) => {
			const next = () => losing?.words[pair.wordsSaid];
			for (let word = next(); word !== undefined && bytes.includes(word); word = next()) pair.wordsSaid += 1;
		});
		far[0]?.on("data", () => {
			if (!losing || pair.wordsSaid < losing.words.length) return;
			for (const socket of pair.sockets) socket.resetAndDestroy();
			losing.lost();
			losing = undefined;
		});
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
		loseAnswerTo: (...words) => {
			for (const pair of pairs) pair.wordsSaid = 0;
			const { promise, resolve } = Promise.withResolvers<void>();
			losing = { words, lost: resolve };
			return promise;
		},
		close: async () => {
			const closed = once(server, "close");
			server.close();
			for (const { sockets } of pairs) for (const socket of sockets) socket.destroy();
			await closed;
		},
	};
}
