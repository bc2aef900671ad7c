import { and, desc, eq, getTableColumns, isNotNull, lt } from "drizzle-orm";
import type { EventId, OrganizationId } from "../core/ids.ts";
import type { Database } from "../platform/db.ts";
import type { WebhookEvent } from "./event.ts";
import { type PayloadPage, payloadBytes, readPayloadPage } from "./payload-store.ts";
import { events } from "./table.ts";

export function eventStore(database: Database) {
	const { orm } = database;
	return {
		/** Writes an event without looking for endpoints that want it. */
		async insert(event: WebhookEvent): Promise<void> {
			await orm.insert(events).values(event);
		},

		async find(organizationId: OrganizationId, id: EventId): Promise<WebhookEvent | null> {
			const [row] = await orm
				.select()
				.from(events)
				.where(and(eq(events.organizationId, organizationId), eq(events.id, id)));
			return row ?? null;
		},

		/** Erases the envelope; the event itself stays. False when there was none. */
		async erasePayload(organizationId: OrganizationId, id: EventId): Promise<boolean> {
			const rows = await orm
				.update(events)
				.set({ payload: null })
				.where(and(eq(events.organizationId, organizationId), eq(events.id, id), isNotNull(events.payload)))
				.returning({ id: events.id });
			return rows.length > 0;
		},

		/** Newest first; a page may be shorter than `limit` for the sake of its payloads. */
		async list(
			organizationId: OrganizationId,
			filter: { limit: number; before: EventId | null; type?: string },
		): Promise<PayloadPage<WebhookEvent>> {
			const found = await orm
				.select({ ...withoutPayload, payloadBytes })
				.from(events)
				.where(
					and(
						eq(events.organizationId, organizationId),
						filter.type === undefined ? undefined : eq(events.type, filter.type),
						filter.before === null ? undefined : lt(events.id, filter.before),
					),
				)
				.orderBy(desc(events.id))
				.limit(filter.limit + 1);
			return readPayloadPage(database, found, { limit: filter.limit, eventIdOf: ({ id }) => id });
		},
	};
}

const { payload: _payload, ...withoutPayload } = getTableColumns(events);
