import { promises as dns } from "node:dns";
import { readFileSync } from "node:fs";

export type ResolvedAddress = { address: string; family: 4 | 6 };

/** Asks for all addresses of a name; rejects when there is none. */
export type Resolver = (host: string) => Promise<ResolvedAddress[]>;

/** Two questions to each server, so a name whose servers are silent is given up after some seconds. */
const QUESTION = { timeout: 2000, tries: 2, maxTimeout: 2000 };
const SYSTEM_AT_ONCE = 2;
const SYSTEM_WAITING_MAX = 100;
/** The name servers do not know the name, or there are none. */
const UNKNOWN_NAME = ["ENOTFOUND", "ENODATA", "ECONNREFUSED"];
const HOSTS_FILE = "/etc/hosts";

/**
 * What a name stands for: by the hosts file, else by DNS, else by whatever else the system knows of (search domains,
 * name services of its own). DNS is asked over sockets. The system's own lookup takes one of a process's few threads
 * for as long as a name server pleases, so it is left to `localhost`, and to names that name servers say they do not
 * know, two at a time. `servers` (`address:port`) and `hostsFile` stand in for the system's.
 */
export function createResolver({
	servers,
	hostsFile = HOSTS_FILE,
}: {
	servers?: readonly string[];
	hostsFile?: string;
} = {}): Resolver {
	const askSystem = atMost(SYSTEM_AT_ONCE, SYSTEM_WAITING_MAX, lookup);
	return async (host) => {
		const name = host.toLowerCase().replace(/\.$/, "");
		const listed = readHosts(hostsFile, name);
		if (listed.length > 0) return listed;
		if (name === "localhost" || name.endsWith(".localhost")) return lookup(name);
		return (await askServers(host, servers)) ?? (await askSystem(host));
	};
}

function readHosts(file: string, name: string): ResolvedAddress[] {
	let text: string;
	try {
		text = readFileSync(file, "utf8");
	} catch {
		return [];
	}
	return text.split("\n").flatMap((line) => {
		const [address = "", ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/);
		return names.includes(name) ? [{ address, family: address.includes(":") ? 6 : 4 } as const] : [];
	});
}

/** Null when they do not know the name. A resolver of its own reads the system's settings, and has ports of its own. */
async function askServers(
	host: string,
	servers: readonly string[] | undefined,
): Promise<ResolvedAddress[] | null> {
	const resolver = new dns.Resolver(QUESTION);
	if (servers !== undefined) resolver.setServers(servers);
	const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
	// IPv4 first: a machine without a way to IPv6 may learn of that only by waiting.
	const found = answers.flatMap((answer, at) =>
		answer.status === "fulfilled"
			? answer.value.map((address) => ({ address, family: at === 0 ? 4 : 6 }) as const)
			: [],
	);
	if (found.length > 0) return found;
	for (const answer of answers) {
		if (answer.status === "rejected" && !UNKNOWN_NAME.includes(answer.reason.code)) throw answer.reason;
	}
	return null;
}

async function lookup(host: string): Promise<ResolvedAddress[]> {
	const found = await dns.lookup(host, { all: true, order: "verbatim" });
	return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }));
}

/** So many questions at once, so many more wait for their turn, and the rest are refused. */
function atMost(max: number, waitingMax: number, ask: Resolver): Resolver {
	let running = 0;
	const waiting: (() => void)[] = [];
	return async (host) => {
		if (running < max) running += 1;
		else if (waiting.length < waitingMax) await new Promise<void>((resolve) => waiting.push(resolve));
		else throw new Error("too many names are looked up just now");
		try {
			return await ask(host);
		} finally {
			const next = waiting.shift();
			if (next === undefined) running -= 1;
			else next();
		}
	};
}
