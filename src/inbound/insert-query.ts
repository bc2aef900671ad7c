import { type IntegrationId, newUuid, toUuid } from "../core/ids.ts";

/** A webhook to store. `received` waits for its effect. */
export type NewInboundWebhook = {
	integrationId: IntegrationId;
	/** That of the integration by which it was judged; null when any will do. */
	version: string | null;
	providerEventId: string;
	/** A second dedup key, where the provider's id may change from one try to the next. */
	alternateEventId: string | null;
	type: string;
	state: "received" | "ignored" | "stale";
	/** Its source, redacted. */
	document: string;
	/** SHA-256 of the bytes as they came, in hex. */
	bodyHash: string;
	occurredAt: Date | null;
};

const keyDays = 30;

/**
 * Stores webhooks under their dedup keys, each while its integration is as it was when the webhook was judged.
 * Returns the positions of those of which that is so, and whether their keys were all free. The rows of the keys come
 * first: of twenty requests at once, nineteen wait for one and then write nothing. They are taken in order, so that
 * two statements with some of the same never wait for each other.
 */
export const insertSql = `
with given as (
	select g.*, i.organization_id, i.project_id, i.provider
	from rows from (
		unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
			$9::timestamptz[]),
		jsonb_array_elements($10)
	) with ordinality
		as g(id, integration_id, version, event_key, alternate_key, type, state, body_hash, occurred_at, document, position)
	join integrations i on i.id = g.integration_id and (g.version is null or g.version = i.updated_at)
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
), stored as (
	insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id, type,
		state, document, body_hash, occurred_at)
	select organization_id, id, project_id, integration_id, provider, event_key, type, state, document,
		decode(body_hash, 'hex'), occurred_at
	from given
	where (select count(*) from key where inbound_id = given.id) = 1 + (alternate_key is not null)::int
	returning id
)
select position::int, id in (select id from stored) as is_new from given`;

/** The parameters of `insertSql`, column by column. No two webhooks may share a key. */
export function insertValues(webhooks: readonly NewInboundWebhook[]): unknown[] {
	const uuids = new Map<string, string>();
	const uuidOf = (id: IntegrationId) => {
		const known = uuids.get(id) ?? toUuid(id);
		uuids.set(id, known);
		return known;
	};
	return [
		webhooks.map(() => newUuid()),
		webhooks.map(({ integrationId }) => uuidOf(integrationId)),
		webhooks.map(({ version }) => version),
		webhooks.map(({ providerEventId }) => providerEventId),
		webhooks.map(({ alternateEventId }) => alternateEventId),
		webhooks.map(({ type }) => type),
		webhooks.map(({ state }) => state),
		webhooks.map(({ bodyHash }) => bodyHash),
		webhooks.map(({ occurredAt }) => occurredAt),
		`[${webhooks.map(({ document }) => document).join(",")}]`,
	];
}
