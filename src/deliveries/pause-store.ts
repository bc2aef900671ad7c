import { getTableColumns } from "drizzle-orm";
import type { Database } from "../platform/db.ts";
import { deliveryPause } from "./table.ts";

/** Since when nothing is sent to anybody, and what the operator said of it. */
export type DeliveryPause = { pausedAt: Date; reason: string | null };

export function pauseStore({ orm }: Database) {
	return {
		/** Null while deliveries go out. */
		async find(): Promise<DeliveryPause | null> {
			const [row] = await orm.select(shown).from(deliveryPause);
			return row ?? null;
		},

		/** A pause that is there already stays as it is. */
		async begin(reason: string | null): Promise<void> {
			await orm.insert(deliveryPause).values({ reason }).onConflictDoNothing();
		},

		/** The pause that was ended; null when there was none. */
		async end(): Promise<DeliveryPause | null> {
			const [row] = await orm.delete(deliveryPause).returning(shown);
			return row ?? null;
		},
	};
}

const { isPaused: _isPaused, ...shown } = getTableColumns(deliveryPause);
