import { recordAudit } from "../audit/record-audit.ts";
import type { Context } from "../context.ts";
import type { EventId, OrganizationId } from "../core/ids.ts";
import type { Actor } from "../core/principal.ts";

type Input = { organizationId: OrganizationId; eventId: EventId; actor: Actor };

/**
 * Erases what an event said, for good. Deliveries of it that wait end as failed: there is nothing left to send.
 * Erasing again changes nothing.
 */
export async function erasePayload(ctx: Pick<Context, "transaction">, input: Input): Promise<void> {
	const { organizationId, eventId, actor } = input;
	await ctx.transaction(async (tx) => {
		if (!(await tx.stores.events.erasePayload(organizationId, eventId))) return;
		await tx.stores.deliveries.expirePending(eventId);
		const metadata = { event_id: eventId };
		await recordAudit(tx, { organizationId, action: "event.payload_erased", actor, metadata });
	});
}
