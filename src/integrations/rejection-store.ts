import { eq, sql } from "drizzle-orm";
import type { IntegrationId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import { type Integration, type Rejections, recentRejectionsMax } from "./integration.ts";
import { inboundRejections } from "./table.ts";

export function rejectionStore({ orm }: Database) {
	return {
		/** Adds to the count and keeps the last `recentRejectionsMax`. `recent` is newest first. */
		async add(integration: Pick<Integration, "id" | "organizationId">, added: Rejections): Promise<void> {
			const kept = sql`(select coalesce(jsonb_agg(r.value order by r.position), '[]')
				from jsonb_array_elements(excluded.recent || ${inboundRejections.recent})
					with ordinality as r(value, position)
				where r.position <= ${recentRejectionsMax})`;
			await orm
				.insert(inboundRejections)
				.values({ integrationId: integration.id, organizationId: integration.organizationId, ...added })
				.onConflictDoUpdate({
					target: inboundRejections.integrationId,
					set: { total: sql`${inboundRejections.total} + excluded.total`, recent: kept },
				});
		},

		async find(id: IntegrationId): Promise<Rejections> {
			const [row] = await orm.select().from(inboundRejections).where(eq(inboundRejections.integrationId, id));
			return { total: row?.total ?? 0, recent: row?.recent ?? [] };
		},
	};
}
