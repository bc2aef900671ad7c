import { and, eq, inArray, sql } from "drizzle-orm";
import type { EventId, OrganizationId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { events } from "./table.ts";

/** A page of a list of one organization, and whether there are rows behind it. */
export type PayloadPage<Row> = { rows: Row[]; hasMore: boolean };

type FoundRow = { organizationId: OrganizationId; payloadBytes: number };

/** Of payloads in one page. The largest page would else be of 64 MiB, and a few callers at once fill the memory. */
const pageBytesMax = 8 * 1024 * 1024;

/** What a row's payload adds to a page, told without reading the payload. */
export const payloadBytes = sql<number>`coalesce(octet_length(${events.payload}), 0)`;

/**
 * Makes a page of rows that were found, up to one more than `limit`, and gives them their payloads. It ends before
 * `limit` where the payloads would be more than 8 MiB, but not before its first row.
 */
export async function readPayloadPage<Row extends FoundRow>(
	{ orm }: Database,
	found: readonly Row[],
	{ limit, eventIdOf }: { limit: number; eventIdOf: (row: Row) => EventId },
): Promise<PayloadPage<Row & { payload: string | null }>> {
	const kept = found.slice(0, Math.min(limit, countFitting(found)));
	const [first] = kept;
	if (first === undefined) return { rows: [], hasMore: false };
	const ids = [...new Set(kept.map(eventIdOf))];
	const read = await orm
		.select({ id: events.id, payload: events.payload })
		.from(events)
		.where(and(eq(events.organizationId, first.organizationId), inArray(events.id, ids)));
	const payloads = new Map(read.map(({ id, payload }) => [id, payload]));
	const rows = kept.map((row) => ({ ...row, payload: payloads.get(eventIdOf(row)) ?? null }));
	return { rows, hasMore: kept.length < found.length };
}

function countFitting(rows: readonly FoundRow[]): number {
	let sumBytes = 0;
	const at = rows.findIndex((row, index) => {
		sumBytes += row.payloadBytes;
		return index > 0 && sumBytes > pageBytesMax;
	});
	return at < 0 ? rows.length : at;
}
