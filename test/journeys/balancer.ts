import { Agent, request } from "node:http";

export type BalancedAnswer = { status: number; text: string };

/** A load balancer as small as one can be, with a caller's requests. */
export type Balancer = {
	/** Takes a replica in; requests go to it once its `/readyz` is green. */
	add(url: string): void;
	/**
	 * Posts to the next replica in turn that is ready. A refused connection takes a replica out, and another is asked:
	 * nothing was sent. Throws whatever else goes wrong, as a caller would have it.
	 */
	post(path: string, key: string, body: unknown): Promise<BalancedAnswer>;
	/** How many replicas get requests now. */
	ready(): number;
	close(): void;
};

type Member = { url: string; isReady: boolean; isAsked: boolean; timer: NodeJS.Timeout };

const probeEveryMs = 100;

/** Connections are kept alive, so that one which a server closes in the wrong moment loses a request. */
export function createBalancer(): Balancer {
	const agent = new Agent({ keepAlive: true });
	const members: Member[] = [];
	let turn = 0;
	return {
		add: (url) => {
			const timer = setInterval(() => void probe(member), probeEveryMs);
			const member: Member = { url, isReady: false, isAsked: false, timer };
			members.push(member);
		},
		post: async (path, key, body) => {
			for (;;) {
				const ready = members.filter(({ isReady }) => isReady);
				const member = ready[turn++ % ready.length];
				if (!member) throw new Error("no replica is ready");
				try {
					return await send(agent, new URL(path, member.url), key, JSON.stringify(body));
				} catch (error) {
					if (!isRefused(error)) throw error;
					member.isReady = false;
				}
			}
		},
		ready: () => members.filter(({ isReady }) => isReady).length,
		close: () => {
			for (const { timer } of members) clearInterval(timer);
			agent.destroy();
		},
	};
}

async function probe(member: Member): Promise<void> {
	// An answer that comes late must not stand for what was found since.
	if (member.isAsked) return;
	member.isAsked = true;
	try {
		// A connection of its own: what it finds does not depend on one that is open already.
		const { status } = await fetch(`${member.url}/readyz`, { headers: { connection: "close" } });
		member.isReady = status === 200;
	} catch {
		member.isReady = false;
	} finally {
		member.isAsked = false;
	}
}

function send(agent: Agent, url: URL, key: string, body: string): Promise<BalancedAnswer> {
	const { promise, resolve, reject } = Promise.withResolvers<BalancedAnswer>();
	const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
	const asking = request(url, { method: "POST", agent, headers }, (response) => {
		let text = "";
		response.setEncoding("utf8");
		response.on("data", (part: string) => {
			text += part;
		});
		response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
		response.once("error", reject);
	});
	asking.once("error", reject);
	asking.end(body);
	return promise;
}

function isRefused(error: unknown): boolean {
	return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}
