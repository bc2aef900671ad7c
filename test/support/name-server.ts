import { createSocket } from "node:dgram";
import { once } from "node:events";
import { onTestFinished } from "vitest";

/** What is said of a name: its addresses, that there is no such name, or nothing at all. */
export type Says = { a?: string[]; aaaa?: string[] } | "unknown" | "silence";

export type NameServer = {
	/** As `Resolver.setServers` takes it. */
	address: string;
	/** The names asked for, one for each question. */
	asked: string[];
};

const TYPE_A = 1;
const TYPE_AAAA = 28;

/** A name server on this machine (DNS over UDP, RFC 1035 §4) that is closed after the test. */
export async function startNameServer(zone: (name: string) => Says): Promise<NameServer> {
	const socket = createSocket("udp4");
	const asked: string[] = [];
	socket.on("message", (query, peer) => {
		const { name, type, question } = readQuestion(query);
		asked.push(name);
		const says = zone(name);
		if (says === "silence") return;
		const records = says === "unknown" ? [] : recordsOf(type, says);
		const head = Buffer.alloc(12);
		query.copy(head, 0, 0, 2);
		// An answer, recursion asked for and there; 3: no such name.
		head.writeUInt16BE(says === "unknown" ? 0x8183 : 0x8180, 2);
		head.writeUInt16BE(1, 4);
		head.writeUInt16BE(records.length, 6);
		socket.send(Buffer.concat([head, question, ...records]), peer.port, peer.address);
	});
	socket.bind(0, "127.0.0.1");
	await once(socket, "listening");
	onTestFinished(() => void socket.close());
	return { address: `127.0.0.1:${socket.address().port}`, asked };
}

function readQuestion(query: Buffer): { name: string; type: number; question: Buffer } {
	const labels: string[] = [];
	let at = 12;
	for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
		labels.push(query.toString("latin1", at + 1, at + 1 + length));
		at += 1 + length;
	}
	return {
		name: labels.join(".").toLowerCase(),
		type: query.readUInt16BE(at + 1),
		question: query.subarray(12, at + 5),
	};
}

function recordsOf(type: number, { a = [], aaaa = [] }: Exclude<Says, string>): Buffer[] {
	if (type === TYPE_A) return a.map((address) => record(type, Buffer.from(address.split(".").map(Number))));
	if (type !== TYPE_AAAA) return [];
	return aaaa.map((address) => record(type, Buffer.from(address.replaceAll(":", ""), "hex")));
}

/** The name is that of the question, by a pointer to it; the answer may be kept for a minute. */
function record(type: number, address: Buffer): Buffer {
	const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, address.length]);
	return Buffer.concat([head, address]);
}
