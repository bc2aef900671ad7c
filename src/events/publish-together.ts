import { type Batcher, createBatcher } from "../core/batcher.ts";
import { isStatementRefused } from "../platform/db-errors.ts";
import type { NewEvent, WebhookEvent } from "./event.ts";

export type PublishTogether = Batcher<NewEvent, WebhookEvent>;

const batchMax = 200;
const batchBytesMax = 4 * 1024 * 1024;
const waitingBytesMax = 64 * 1024 * 1024;
/** As long as callers wait for a connection. */
const waitMaxMs = 5_000;

/**
 * Writes events that are published one by one at the same time in one statement, and so in one commit. An event that
 * is refused fails alone.
 */
export function createPublishTogether(
	publish: (events: readonly NewEvent[]) => Promise<WebhookEvent[]>,
): PublishTogether {
	return createBatcher({
		run: publish,
		itemsMax: batchMax,
		weightMax: batchBytesMax,
		waitingWeightMax: waitingBytesMax,
		waitMaxMs,
		weigh: ({ data }) => data.length,
		// One statement writes a key once.
		keyOf: ({ organizationId, idempotencyKey }) =>
			idempotencyKey === undefined ? undefined : `${organizationId} ${idempotencyKey}`,
		isOfOneItem: isStatementRefused,
	});
}
