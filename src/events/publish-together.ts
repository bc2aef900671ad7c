import type { NewEvent, WebhookEvent } from "./event.ts";

export type PublishTogether = (event: NewEvent) => Promise<WebhookEvent>;

type Waiting = { event: NewEvent; done(event: WebhookEvent): void; failed(error: unknown): void };

const batchMax = 200;
const batchBytesMax = 4 * 1024 * 1024;
const writersMax = 2;

/**
 * Writes events that are published one by one at the same time in one statement, and so in one commit: the first
 * goes at once, and those that come while it is written go together. An event fails alone.
 */
export function createPublishTogether(
	publish: (events: readonly NewEvent[]) => Promise<WebhookEvent[]>,
): PublishTogether {
	let waiting: Waiting[] = [];
	let writers = 0;

	const write = async () => {
		writers += 1;
		while (waiting.length > 0) {
			const batch = takeBatch(waiting);
			waiting = waiting.filter((one) => !batch.has(one));
			await writeBatch(publish, [...batch]);
		}
		writers -= 1;
	};

	return (event) =>
		new Promise((done, failed) => {
			waiting.push({ event, done, failed });
			if (writers < writersMax) void write();
		});
}

/** The longest waiting ones; of one idempotency key only the first, since one statement writes a key once. */
function takeBatch(waiting: readonly Waiting[]): Set<Waiting> {
	const batch = new Set<Waiting>();
	const keys = new Set<string>();
	let bytes = 0;
	for (const one of waiting) {
		const { organizationId, idempotencyKey, data } = one.event;
		const key = `${organizationId} ${idempotencyKey}`;
		if (idempotencyKey !== undefined && keys.has(key)) continue;
		bytes += data.length;
		if (batch.size >= batchMax || (batch.size > 0 && bytes > batchBytesMax)) break;
		keys.add(key);
		batch.add(one);
	}
	return batch;
}

async function writeBatch(
	publish: (events: readonly NewEvent[]) => Promise<WebhookEvent[]>,
	batch: readonly Waiting[],
): Promise<void> {
	try {
		const events = await publish(batch.map(({ event }) => event));
		for (const [at, one] of batch.entries()) one.done(events[at] as WebhookEvent);
	} catch (error) {
		const [only] = batch;
		if (batch.length === 1) only?.failed(error);
		else for (const one of batch) await writeBatch(publish, [one]);
	}
}
