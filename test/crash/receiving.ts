import { createHash } from "node:crypto";
import { type ReceivedRequest, type Receiver, type Reply, startReceiver } from "../support/receiver.ts";

/** What came of one delivery, by its id. */
export type Heard = {
	/** Requests that were answered with a 2xx, also when nobody was there any more to hear it. */
	accepted: number;
	eventId: string;
	endpoint: string;
	/** As it stood in the event's data. */
	key: string | null;
};

export type Listener = {
	receiver: Receiver;
	heard: Map<string, Heard>;
	/** When each request arrived, in milliseconds since 1970. */
	arrivals: number[];
};

/**
 * A receiver that notes what it answered: most at once, one in eight after a while, and one in twenty with a 500 the
 * first time. Which, follows from the delivery's id.
 */
export async function startListener(): Promise<Listener> {
	const heard = new Map<string, Heard>();
	const arrivals: number[] = [];
	const asked = new Map<string, number>();
	const receiver = await startReceiver();
	receiver.respondWith((request) => {
		arrivals.push(request.at.getTime());
		const id = request.headers["x-capydb-delivery"] ?? "";
		const times = (asked.get(id) ?? 0) + 1;
		asked.set(id, times);
		const reply = replyTo(id, times);
		const entry = heard.get(id) ?? { accepted: 0, ...contentOf(request) };
		heard.set(id, entry);
		if (reply.status === 200) entry.accepted += 1;
		// They would only fill the memory.
		receiver.requests.length = 0;
		return reply;
	});
	return { receiver, heard, arrivals };
}

function replyTo(id: string, times: number): Exclude<Reply, number | string> {
	const chance = createHash("sha256").update(id).digest()[0] ?? 0;
	if (chance < 13 && times === 1) return { status: 500 };
	return chance >= 224 ? { status: 200, delayMs: 20 * (chance - 224) } : { status: 200 };
}

function contentOf({ url, body }: ReceivedRequest): Omit<Heard, "accepted"> {
	const { id, data } = JSON.parse(String(body));
	return { endpoint: url.slice(1), eventId: id, key: typeof data?.key === "string" ? data.key : null };
}
