import { and, asc, desc, eq, getTableColumns, gte, isNotNull, lt, ne, or, sql } from "drizzle-orm";
import {
	type DeliveryId,
	type EndpointId,
	type EventId,
	fromUuid,
	type OrganizationId,
	toUuid,
	uuidFloor,
} from "../core/ids.ts";
import { type PayloadPage, payloadBytes, readPayloadPage } from "../events/payload-store.ts";
import { events } from "../events/table.ts";
import type { Database } from "../platform/db.ts";
import { webhookEndpoints } from "../webhook-endpoints/table.ts";
import type { Attempt, Delivery, DeliveryState } from "./delivery.ts";
import { deliveries, deliveryAttempts } from "./table.ts";

export type DeliveryFilter = {
	limit: number;
	before: DeliveryId | null;
	state?: DeliveryState;
	eventType?: string;
	since?: Date;
	until?: Date;
};

/** A delivery with the envelope's text; null once the event was erased or dropped by retention. */
export type DeliveryWithPayload = Delivery & { payload: string | null };

type NewDelivery = Pick<
	Delivery,
	"organizationId" | "endpointId" | "eventId" | "eventType" | "origin" | "maxAttempts" | "createdAt"
>;

/** How many orphans one statement removes. */
const orphansMax = 5_000;

export function deliveryStore(database: Database) {
	const { orm } = database;
	return {
		/** Adds one delivery that is due at once. */
		async insert(delivery: NewDelivery): Promise<DeliveryId> {
			const [row] = await orm
				.insert(deliveries)
				.values({
					...delivery,
					// The database's, as for published ones: by its time an event's deliveries are told older from newer.
					id: sql`uuid_v7()`,
					state: "pending",
					nextAttemptAt: sql`clock_now()`,
					updatedAt: delivery.createdAt,
				})
				.returning({ id: deliveries.id });
			if (!row) throw new Error("A delivery was not written.");
			return row.id;
		},

		async find(organizationId: OrganizationId, id: DeliveryId): Promise<DeliveryWithPayload | null> {
			const [row] = await orm
				.select({ ...shown, payload: events.payload })
				.from(deliveries)
				.leftJoin(events, sameEvent)
				.where(and(eq(deliveries.organizationId, organizationId), eq(deliveries.id, id)));
			return row ?? null;
		},

		/** Newest first; a page may be shorter than `limit` for the sake of its payloads. Times are ranges of ids. */
		async list(endpointId: EndpointId, filter: DeliveryFilter): Promise<PayloadPage<DeliveryWithPayload>> {
			const { limit } = filter;
			const found = await orm
				.select({ ...shown, payloadBytes })
				.from(deliveries)
				.leftJoin(events, sameEvent)
				.where(
					and(
						eq(deliveries.endpointId, endpointId),
						filter.before === null ? undefined : lt(deliveries.id, filter.before),
						filter.state === undefined ? undefined : eq(deliveries.state, filter.state),
						filter.eventType === undefined ? undefined : eq(deliveries.eventType, filter.eventType),
						filter.since === undefined ? undefined : gte(deliveries.id, floorId(filter.since)),
						filter.until === undefined ? undefined : lt(deliveries.id, floorId(filter.until)),
					),
				)
				.orderBy(desc(deliveries.id))
				.limit(limit + 1);
			return readPayloadPage(database, found, { limit, eventIdOf: ({ eventId }) => eventId });
		},

		/** Newest first. Without those that wait for an endpoint that is deleted: they are never sent. */
		async listOfEvent(eventId: EventId, limit: number): Promise<Delivery[]> {
			const isEndedOrSent = or(ne(deliveries.state, "pending"), isNotNull(webhookEndpoints.id));
			return orm
				.select(shown)
				.from(deliveries)
				.leftJoin(webhookEndpoints, eq(webhookEndpoints.id, deliveries.endpointId))
				.where(and(eq(deliveries.eventId, eventId), isEndedOrSent))
				.orderBy(desc(deliveries.id))
				.limit(limit);
		},

		async listAttempts(id: DeliveryId): Promise<Attempt[]> {
			return orm
				.select()
				.from(deliveryAttempts)
				.where(eq(deliveryAttempts.deliveryId, id))
				.orderBy(asc(deliveryAttempts.number), asc(deliveryAttempts.id));
		},

		/**
		 * Ends what waits to send an event whose payload is erased. A request that is in flight ends by itself: as
		 * delivered, or as expired at its next attempt.
		 */
		async expirePending(eventId: EventId): Promise<void> {
			await orm
				.update(deliveries)
				.set({
					state: "failed",
					nextAttemptAt: null,
					claimId: null,
					leaseUntil: null,
					errorCode: "expired",
					lastError: "The event's payload was erased before it was delivered.",
					updatedAt: sql`clock_now()`,
				})
				.where(
					and(
						eq(deliveries.eventId, eventId),
						eq(deliveries.state, "pending"),
						sql`(lease_until is null or lease_until <= clock_now())`,
					),
				);
		},

		/** Removes what waits for an endpoint that goes away, so many at most. Returns how many there were. */
		async dropPending(endpointId: EndpointId, limit: number): Promise<number> {
			const isWaiting = and(eq(deliveries.endpointId, endpointId), eq(deliveries.state, "pending"));
			const { id, organizationId } = deliveries;
			const waiting = await orm.select({ id, organizationId }).from(deliveries).where(isWaiting).limit(limit);
			const [first] = waiting;
			if (!first) return 0;
			// By their keys, which tell the partitions.
			const isOneOf = sql`${id} = any(${sql.param(waiting.map((row) => toUuid(row.id)))}::uuid[])`;
			const result = await orm
				.delete(deliveries)
				.where(and(eq(organizationId, first.organizationId), isOneOf, isWaiting));
			return result.rowCount ?? 0;
		},

		/** Removes deliveries whose endpoint was deleted, each of many batches for itself. Returns how many there were. */
		async dropOrphans(): Promise<number> {
			const { rows } = await orm.execute<{ endpoint_id: string }>(orphanEndpointsSql);
			let dropped = 0;
			for (const row of rows) {
				const endpointId = fromUuid("whe", row.endpoint_id);
				for (let count = -1; count !== 0; dropped += count) {
					count = await this.dropPending(endpointId, orphansMax);
				}
			}
			return dropped;
		},
	};
}

const { claimId: _claimId, leaseUntil: _leaseUntil, ...shown } = getTableColumns(deliveries);
const sameEvent = and(
	eq(events.organizationId, deliveries.organizationId),
	eq(events.id, deliveries.eventId),
);

// One step through the index of pending deliveries for each endpoint that has any.
const orphanEndpointsSql = sql`
	with recursive waiting as (
		(select endpoint_id from deliveries where state = 'pending' order by endpoint_id limit 1)
		union all
		select d.endpoint_id from waiting w cross join lateral (
			select endpoint_id from deliveries where state = 'pending' and endpoint_id > w.endpoint_id
			order by endpoint_id limit 1
		) d
	)
	select endpoint_id from waiting w where not exists (select 1 from webhook_endpoints e where e.id = w.endpoint_id)`;

function floorId(at: Date): DeliveryId {
	return fromUuid("whd", uuidFloor(at));
}
