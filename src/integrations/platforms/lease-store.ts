import { and, eq, lt, sql } from "drizzle-orm";
import type { Database } from "../../platform/db.ts";
import type { Integration } from "../integration.ts";
import { platformLeases } from "../table.ts";

type Place = Pick<Integration, "organizationId" | "projectId" | "provider">;

export function leaseStore({ orm }: Database) {
	const until = (seconds: number) => sql`clock_now() + ${seconds}::int * interval '1 second'`;
	const held = ({ projectId, provider }: Place, holder: string) =>
		and(
			eq(platformLeases.projectId, projectId),
			eq(platformLeases.provider, provider),
			eq(platformLeases.holder, holder),
		);
	return {
		/** False while another holds it. */
		async take(place: Place, holder: string, seconds: number): Promise<boolean> {
			const { organizationId, projectId, provider } = place;
			const taken = await orm
				.insert(platformLeases)
				.values({ organizationId, projectId, provider, holder, leasedUntil: until(seconds) })
				.onConflictDoUpdate({
					target: [platformLeases.projectId, platformLeases.provider],
					set: { holder, leasedUntil: until(seconds) },
					setWhere: lt(platformLeases.leasedUntil, sql`clock_now()`),
				})
				.returning({ holder: platformLeases.holder });
			return taken.length > 0;
		},

		/** False when it was lost. */
		async prolong(place: Place, holder: string, seconds: number): Promise<boolean> {
			const kept = await orm
				.update(platformLeases)
				.set({ leasedUntil: until(seconds) })
				.where(held(place, holder))
				.returning({ holder: platformLeases.holder });
			return kept.length > 0;
		},

		async give(place: Place, holder: string): Promise<void> {
			await orm.delete(platformLeases).where(held(place, holder));
		},
	};
}
