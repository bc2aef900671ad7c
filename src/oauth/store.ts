import { and, eq, isNotNull, isNull, sql } from "drizzle-orm";
import type { Database } from "../platform/db.ts";
import type { OAuthFlow } from "./flow.ts";
import { oauthFlows } from "./table.ts";

export type NewFlow = Omit<OAuthFlow, "heldGrant" | "usedAt" | "expiresAt" | "createdAt">;

/** A flow as it stands, and whether its time is over by the database's clock. */
export type FlowSeen = { flow: OAuthFlow; isExpired: boolean };

export function oauthFlowStore({ orm }: Database) {
	const isLive = sql`${oauthFlows.expiresAt} > clock_now()`;
	return {
		async insert(flow: NewFlow, minutes: number): Promise<void> {
			const expiresAt = sql`clock_now() + ${minutes}::int * interval '1 minute'`;
			await orm.insert(oauthFlows).values({ ...flow, expiresAt });
		},

		async find(tokenHash: string): Promise<FlowSeen | null> {
			const [row] = await orm
				.select({ flow: oauthFlows, isExpired: sql<boolean>`not ${isLive}` })
				.from(oauthFlows)
				.where(eq(oauthFlows.tokenHash, tokenHash));
			return row ?? null;
		},

		/** Takes a state; false when another was quicker or its time is over. */
		async use(tokenHash: string): Promise<boolean> {
			const used = await orm
				.update(oauthFlows)
				.set({ usedAt: sql`clock_now()` })
				.where(and(eq(oauthFlows.tokenHash, tokenHash), isNull(oauthFlows.usedAt), isLive))
				.returning({ tokenHash: oauthFlows.tokenHash });
			return used.length > 0;
		},

		/** Keeps what was granted until the confirmation with this hash comes. */
		async hold(flow: NewFlow, heldGrant: string, minutes: number): Promise<void> {
			const expiresAt = sql`clock_now() + ${minutes}::int * interval '1 minute'`;
			await orm.insert(oauthFlows).values({ ...flow, heldGrant, usedAt: sql`clock_now()`, expiresAt });
		},

		/** Takes what was held; null when there is nothing, or its time is over. */
		async takeHeld(tokenHash: string, provider: string): Promise<OAuthFlow | null> {
			const [row] = await orm
				.delete(oauthFlows)
				.where(
					and(
						eq(oauthFlows.tokenHash, tokenHash),
						eq(oauthFlows.provider, provider),
						isNotNull(oauthFlows.heldGrant),
						isLive,
					),
				)
				.returning();
			return row ?? null;
		},

		/** Also erases the grants that nobody confirmed. A used state is told from an unknown one for an hour. */
		async deleteExpired(): Promise<void> {
			const isOver = sql`${oauthFlows.expiresAt} <= clock_now() - case
				when ${oauthFlows.heldGrant} is null then interval '1 hour' else interval '0' end`;
			await orm.delete(oauthFlows).where(isOver);
		},
	};
}
