import { toUuid } from "../core/ids.ts";
import type { InboundWebhook } from "./inbound-webhook.ts";

/** A webhook to store. `received` waits for its effect. */
export type NewInboundWebhook = Omit<
	InboundWebhook,
	"state" | "error" | "receivedAt" | "processedAt" | "document"
> & {
	/** Its source, redacted. */
	document: string;
	/** A second dedup key, where the provider's id may change from one try to the next. */
	alternateEventId: string | null;
	state: "received" | "ignored" | "stale";
};

const keyDays = 30;

/**
 * Stores webhooks under their dedup keys, and returns the ids of those whose keys were all free. The rows of the keys
 * come first: of twenty requests at once, nineteen wait for one and then write nothing. They are taken in order, so that
 * two statements with some of the same never wait for each other.
 */
export const insertSql = `
with given as (
	select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
		$9::text[], $10::text[], $11::text[], $12::timestamptz[])
	as g(id, organization_id, project_id, integration_id, provider, event_key, alternate_key, type, state, document,
		body_hash, occurred_at)
), key as (
	insert into inbound_dedup_keys as k (organization_id, integration_id, provider_event_id, inbound_id, expires_at)
	select organization_id, integration_id, each.key, id, clock_now() + interval '${keyDays} days'
	from given, unnest(array[event_key, alternate_key]) as each(key)
	where each.key is not null
	order by integration_id, each.key
	on conflict (organization_id, integration_id, provider_event_id) do update
		set inbound_id = excluded.inbound_id, expires_at = excluded.expires_at
		where k.expires_at <= clock_now()
	returning inbound_id
)
insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id, type,
	state, document, body_hash, occurred_at)
select organization_id, id, project_id, integration_id, provider, event_key, type, state, document::jsonb,
	decode(body_hash, 'hex'), occurred_at
from given
where (select count(*) from key where inbound_id = given.id) = 1 + (alternate_key is not null)::int
returning id`;

/** The parameters of `insertSql`, column by column. No two webhooks may share a key. */
export function insertValues(webhooks: readonly NewInboundWebhook[]): unknown[] {
	return [
		webhooks.map(({ id }) => toUuid(id)),
		webhooks.map(({ organizationId }) => toUuid(organizationId)),
		webhooks.map(({ projectId }) => toUuid(projectId)),
		webhooks.map(({ integrationId }) => toUuid(integrationId)),
		webhooks.map(({ provider }) => provider),
		webhooks.map(({ providerEventId }) => providerEventId),
		webhooks.map(({ alternateEventId }) => alternateEventId),
		webhooks.map(({ type }) => type),
		webhooks.map(({ state }) => state),
		webhooks.map(({ document }) => document),
		webhooks.map(({ bodyHash }) => bodyHash.toString("hex")),
		webhooks.map(({ occurredAt }) => occurredAt),
	];
}
