import { and, lt, lte, sql } from "drizzle-orm";
import { fromUuid, uuidFloor } from "../core/ids.ts";
import { deployments } from "../deployments/table.ts";
import { eventIdempotencyKeys } from "../events/table.ts";
import { inboundDedupKeys } from "../inbound/table.ts";
import type { Database } from "../platform/db.ts";
import { dropPartitions, ensurePartitions } from "../platform/partitions.ts";

export function retentionStore({ orm }: Database) {
	const run = async (statement: string) => (await orm.execute(sql.raw(statement))).rows;
	return {
		/** Drops what was made before that moment, a week at a time. Returns the names of the dropped partitions. */
		dropPartitions: (keepFrom: Date): Promise<string[]> => dropPartitions(run, keepFrom),

		/** Makes the partitions of the coming weeks. */
		async makePartitions(): Promise<void> {
			await ensurePartitions(run);
		},

		/** Deletes deployments that began before that moment and of which nothing was heard since. */
		async deleteDeployments(keepFrom: Date): Promise<void> {
			const isOld = lt(deployments.id, fromUuid("dep", uuidFloor(keepFrom)));
			await orm.delete(deployments).where(and(isOld, lt(deployments.updatedAt, keepFrom)));
		},

		/** Deletes idempotency and dedup keys whose time is over. */
		async deleteExpiredKeys(): Promise<void> {
			await orm.delete(eventIdempotencyKeys).where(lte(eventIdempotencyKeys.expiresAt, sql`clock_now()`));
			await orm.delete(inboundDedupKeys).where(lte(inboundDedupKeys.expiresAt, sql`clock_now()`));
		},
	};
}
