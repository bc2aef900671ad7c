import { type SQL, sql } from "drizzle-orm";
import type { PgColumn } from "drizzle-orm/pg-core";
import { uuidFloor } from "../core/ids.ts";
import { deployments } from "../deployments/table.ts";
import { eventIdempotencyKeys } from "../events/table.ts";
import { inboundDedupKeys } from "../inbound/table.ts";
import type { Database } from "../platform/db.ts";
import {
	dropPartition,
	ensurePartitions,
	listExpiredPartitions,
	type Partition,
	readPartitionsAheadMs,
} from "../platform/partitions.ts";

/** One statement deletes so many: it ends within the time that it has, however much has come together. */
const batchSize = 10_000;

export function retentionStore({ orm }: Database) {
	const run = async (statement: string) => (await orm.execute(sql.raw(statement))).rows;
	return {
		/** Makes the partitions of the coming weeks, and of the last one where it is kept. */
		makePartitions: (keepFrom: Date): Promise<void> => ensurePartitions(run, keepFrom),

		/** For how long the partitions that are there will do. */
		partitionsAheadMs: (): Promise<number> => readPartitionsAheadMs(run),

		/** The partitions of which nothing is to be kept. */
		listExpiredPartitions: (keepFrom: Date): Promise<Partition[]> => listExpiredPartitions(run, keepFrom),

		dropPartition: (partition: Partition): Promise<void> => dropPartition(run, partition),

		/** Deletes deployments that began before that moment and of which nothing was heard since. */
		async deleteDeployments(keepFrom: Date, signal: AbortSignal): Promise<void> {
			const isUnheard = sql`${deployments.updatedAt} < ${keepFrom.toISOString()}`;
			await deleteInBatches(orm, deployments.id, sql`${uuidFloor(keepFrom)}`, signal, isUnheard);
		},

		/** Deletes idempotency keys whose time is over. */
		async deleteIdempotencyKeys(signal: AbortSignal): Promise<void> {
			await deleteInBatches(orm, eventIdempotencyKeys.expiresAt, sql`clock_now()`, signal);
		},

		/** Deletes dedup keys whose time is over. */
		async deleteDedupKeys(signal: AbortSignal): Promise<void> {
			await deleteInBatches(orm, inboundDedupKeys.expiresAt, sql`clock_now()`, signal);
		},
	};
}

/**
 * Deletes the rows up to `until` in the order of an indexed column. Each statement goes on where the one before has
 * ended: what that deleted stands in the index for a while yet.
 */
async function deleteInBatches(
	orm: Database["orm"],
	along: PgColumn,
	until: SQL,
	signal: AbortSignal,
	also = sql`true`,
): Promise<void> {
	for (let from = sql`true`; ; ) {
		signal.throwIfAborted();
		const { rows } = await orm.execute<{ bound: string }>(
			sql`select ${along}::text as bound from ${along.table} where ${along} <= ${until} and ${from}
				order by ${along} offset ${batchSize - 1} limit 1`,
		);
		const [last] = rows;
		const upTo = last === undefined ? until : sql`${last.bound}`;
		await orm.execute(sql`delete from ${along.table} where ${along} <= ${upTo} and ${from} and ${also}`);
		if (last === undefined) return;
		from = sql`${along} > ${upTo}`;
	}
}
