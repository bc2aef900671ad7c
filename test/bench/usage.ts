import { measureLocks } from "./locks.ts";
import { postgresCpuMs } from "./measure.ts";
import type { BenchServer, Site } from "./site.ts";

/** What a stretch of work has cost; each CPU time in milliseconds. */
export type Used = {
	ms: number;
	server: number;
	postgres: number;
	receiver: number;
	/** What the server's connections waited for, as shares of the samples. */
	waits: string;
};

/** Measures CPU times and waits, from now until it is stopped. */
export async function measureUsage(
	site: Site,
	server: BenchServer,
	...replicas: BenchServer[]
): Promise<{ stop(): Promise<Used> }> {
	const usageOfServers = () => Promise.all([server, ...replicas].map(({ child }) => child.call("usage")));
	const read = async () => ({
		server: (await usageOfServers()).reduce((sum, { cpuMs }) => sum + cpuMs, 0),
		postgres: postgresCpuMs(site.postmasterPid) ?? Number.NaN,
		receiver: await site.receiver.call("cpuMs"),
	});
	const before = await read();
	const locks = measureLocks(server);
	const startedAt = performance.now();
	return {
		stop: async () => {
			const ms = performance.now() - startedAt;
			const waits = await locks.stop();
			const after = await read();
			return {
				ms,
				server: after.server - before.server,
				postgres: after.postgres - before.postgres,
				receiver: after.receiver - before.receiver,
				waits,
			};
		},
	};
}

/** How busy each of them was, in shares of one core. */
export function sharesOf({ ms, server, postgres, receiver, waits }: Used): string {
	const share = (cpuMs: number) => `${Math.round((cpuMs / ms) * 100)} %`;
	return `of a core: server ${share(server)}, Postgres ${share(postgres)}, receiver ${share(receiver)}; its connections: ${waits}`;
}

/** The CPU that one of `items` took. */
export function costOf({ server, postgres, receiver }: Used, items: number): string {
	const each = (cpuMs: number) => `${((cpuMs * 1000) / items).toFixed(0)} µs`;
	return `CPU each: server ${each(server)}, Postgres ${each(postgres)}, receiver ${each(receiver)}`;
}
