import pg from "pg";
import { fromUuid, toUuid } from "../../src/core/ids.ts";
import { until } from "../support/until.ts";
import type { Kill } from "./kills.ts";
import type { Load } from "./load.ts";
import { endpoints } from "./publishing.ts";
import type { Site } from "./site.ts";
import type { Tenant } from "./tenants.ts";

/** What does not agree, each in a few words. A run without a fault leaves all of them empty. */
export type Reckoning = {
	/** Acknowledged, and not where it belongs. */
	lost: string[];
	/** Requests beyond the first that was answered with a 2xx. */
	duplicated: number;
	/** Deliveries that were sent twice although no killed replica held them. */
	unexplained: string[];
	/** Attempts that killed replicas held: as many requests may have been in flight at the kills. */
	held: number;
	stuck: string[];
	deliveries: number;
};

/** Compares what was acknowledged with the receiver's log, the providers' fakes and the database. */
export async function reckon(
	site: Site,
	load: Load,
	kills: readonly Pick<Kill, "leased">[] = [],
): Promise<Reckoning> {
	const stuck = await drain(site);
	const deliveries = await readDeliveries(site);
	const lost = [
		...load.publishing.contradictions,
		...(await lostEvents(site, load)),
		...lostDeliveries(site, load, deliveries),
		...(await lostWebhooks(site, load)),
		...(await lostConnections(site, load)),
	];
	return { lost, stuck, deliveries: deliveries.length, ...(await countDuplicates(site, kills)) };
}

const waitingSql = `
select 'delivery ' || id || ' is ' || case when lease_until is null then 'due' else 'leased' end as what
from deliveries where state = 'pending'
union all select 'job ' || type || ' ' || id || ' is ' || state from jobs where state in ('pending', 'running')
union all select 'webhook ' || id || ' has no effect' from inbound_webhooks where state = 'received'`;

/** Waits until nothing waits any more; what still does after two minutes is stuck. */
async function drain(site: Site): Promise<string[]> {
	const waiting = async () => (await site.sql<{ what: string }>(waitingSql)).map(({ what }) => what);
	const isDrained = async () => (await waiting()).length === 0;
	return until(isDrained, { everyMs: 200 }).then(
		() => [],
		() => waiting(),
	);
}

type DeliveryRow = { id: string; event_id: string; endpoint: string; state: string };

async function readDeliveries(site: Site): Promise<DeliveryRow[]> {
	const rows = await site.sql<DeliveryRow>(`select d.id, d.event_id, d.state,
		substring(w.url from '[a-z]+$') as endpoint from deliveries d join webhook_endpoints w on w.id = d.endpoint_id`);
	return rows.map((row) => ({
		...row,
		id: fromUuid("whd", row.id),
		event_id: fromUuid("evt", row.event_id),
	}));
}

/** Each event that was taken is there, under its key, and nothing else is. */
async function lostEvents(site: Site, { publishing: { taken }, tenant }: Load): Promise<string[]> {
	const rows = await site.sql<{ id: string; key: string }>(
		"select event_id as id, key from event_idempotency_keys where key like 'key-%' and organization_id = $1",
		[toUuid(tenant.organizationId)],
	);
	const stored = new Map(rows.map(({ id, key }) => [fromUuid("evt", id) as string, key]));
	const missing = [...taken].filter(([id, { key }]) => stored.get(id) !== key).map(([id]) => `event ${id}`);
	const more = [...stored.keys()].filter((id) => !taken.has(id)).map((id) => `event ${id} is nobody's`);
	return [...missing, ...more];
}

/** Each event that was taken reached each endpoint that wants it, as it was sent; so did every other delivery. */
function lostDeliveries({ listener }: Site, { publishing }: Load, rows: readonly DeliveryRow[]): string[] {
	const reached = new Set<string>();
	for (const { accepted, eventId, endpoint, key } of listener.heard.values()) {
		const isIntact = !publishing.taken.has(eventId) || publishing.taken.get(eventId)?.key === key;
		if (accepted > 0 && isIntact) reached.add(`${eventId} at ${endpoint}`);
	}
	const wanted = new Set(rows.map(({ event_id, endpoint }) => `${event_id} at ${endpoint}`));
	for (const [id, { type }] of publishing.taken) {
		for (const { name, wants } of endpoints) if (wants(type)) wanted.add(`${id} at ${name}`);
	}
	const failed = rows.filter(({ state }) => state === "failed").map(({ id }) => `${id} has failed`);
	return [...[...wanted].filter((each) => !reached.has(each)), ...failed];
}

/** Each webhook that was taken is there once and had its effect: the users are those of the fake, and were announced. */
async function lostWebhooks(site: Site, { inbound, tenant }: Load): Promise<string[]> {
	const project = [toUuid(inbound.projectId)];
	const stored = await site.sql<{ id: string; state: string }>(
		"select provider_event_id as id, state from inbound_webhooks where project_id = $1",
		project,
	);
	const ids = new Set(stored.filter(({ state }) => state !== "failed").map(({ id }) => id));
	const missing = [...inbound.takenIds].filter((id) => !ids.has(id)).map((id) => `webhook ${id}`);
	const events = await site.sql<{ payload: string }>(
		"select payload from events where type like 'user.%' and project_id = $1",
		project,
	);
	const announced = new Set<string>();
	for (const { payload } of events) {
		const { type, data } = JSON.parse(payload);
		announced.add(type === "user.deleted" ? data.user_id : `${data.user_id} ${data.user.first_name}`);
	}
	const silent = [...inbound.touched].filter((id) => {
		const user = site.clerk.users.get(id);
		return !announced.has(user ? `${id} ${user.first_name}` : id);
	});
	return [
		...missing,
		...silent.map((id) => `the last change of ${id} was not announced`),
		...(await differingUsers(site, tenant, inbound.projectId)),
	];
}

async function differingUsers(site: Site, { key }: Tenant, projectId: string): Promise<string[]> {
	const { connections } = await site.insist(200, "GET", `/v1/projects/${projectId}/connections`, { key });
	const client = new pg.Client({ connectionString: connections.direct_url });
	await client.connect();
	try {
		const { rows } = await client.query<{ id: string; first_name: string | null }>(
			"select id, first_name from capydb_auth.users where deleted_at is null",
		);
		const kept = new Map(rows.map(({ id, first_name }) => [id, first_name]));
		const differing = [...site.clerk.users.values()].filter(
			({ id, first_name }) => kept.get(id) !== first_name,
		);
		const more = [...kept.keys()].filter((id) => !site.clerk.users.has(id));
		return [...differing.map(({ id }) => id), ...more].map((id) => `user ${id} of ${projectId} differs`);
	} finally {
		await client.end();
	}
}

/** Each integration that was connected at last stands, with all of it at the provider and nothing twice. */
async function lostConnections(site: Site, { connecting, tenant }: Load): Promise<string[]> {
	const lost: string[] = [];
	for (const { provider, projectId } of connecting) {
		const path = `/v1/projects/${projectId}/integrations`;
		const { integrations } = await site.insist(200, "GET", path, { key: tenant.key });
		const states = integrations.map((each: { state: string }) => each.state).join();
		if (states !== "active") lost.push(`${provider} is ${states}`);
		if (provider === "clerk") lost.push(...(await differingUsers(site, tenant, projectId)));
	}
	const { hooks, projects } = site.vercel;
	const connected = connecting.filter(({ provider }) => provider === "vercel").length;
	if (hooks.size !== connected) lost.push(`${hooks.size} hooks at Vercel`);
	for (const { variables } of projects.values()) {
		const names = variables.map(({ key }) => key).toSorted();
		if (names.join() !== "DATABASE_URL,DATABASE_URL_UNPOOLED") lost.push(`variables ${names} at Vercel`);
	}
	return lost;
}

async function countDuplicates(site: Site, kills: readonly Pick<Kill, "leased">[]) {
	const rows = await site.sql<{ id: string; number: number; error_code: string }>(
		`select delivery_id as id, number, error_code from delivery_attempts
		where error_code in ('unknown', 'timeout', 'response_too_slow')`,
	);
	const ended = new Set<string>();
	const late = new Map<string, number>();
	for (const { id: uuid, number, error_code: code } of rows) {
		const id = fromUuid("whd", uuid);
		if (code === "unknown") ended.add(`${id} ${number}`);
		else late.set(id, (late.get(id) ?? 0) + 1);
	}
	const held = new Map<string, string>();
	for (const { deliveryId, number } of kills.flatMap(({ leased }) => leased)) {
		const attempt = `${deliveryId} ${number}`;
		if (ended.has(attempt)) held.set(attempt, deliveryId);
	}
	const explained = new Set(held.values());
	// A 2xx that came after the deadline, as on a busy machine, is rightly asked for again.
	const repeated = [...site.listener.heard]
		.map(([id, { accepted }]) => ({ id, times: accepted - 1 - (late.get(id) ?? 0) }))
		.filter(({ times }) => times > 0);
	return {
		duplicated: repeated.reduce((sum, { times }) => sum + times, 0),
		unexplained: repeated.map(({ id }) => id).filter((id) => !explained.has(id)),
		held: held.size,
	};
}
