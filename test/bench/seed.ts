import { type EndpointId, fromUuid, toUuid } from "../../src/core/ids.ts";
import type { BenchServer, Site } from "./site.ts";

export type Tenant = { organizationId: string; key: string; endpointIds: EndpointId[] };

/** An organization with a key and endpoints at the receiver, made through the API. */
export async function addTenant(
	server: BenchServer,
	urls: readonly string[],
	name = "bench",
): Promise<Tenant> {
	const { organization } = await server.call("POST", "/v1/organizations", { name });
	const base = `/v1/organizations/${organization.id}`;
	const { plaintext_api_key: key } = await server.call("POST", `${base}/api-keys`, { name, scopes: ["*"] });
	const endpointIds: EndpointId[] = [];
	for (let at = 0; at < urls.length; at += 20) {
		const made = await Promise.all(
			urls.slice(at, at + 20).map((url) => server.call("POST", `${base}/webhook-endpoints`, { url })),
		);
		endpointIds.push(...made.map(({ webhook_endpoint }) => webhook_endpoint.id));
	}
	return { organizationId: organization.id, key, endpointIds };
}

/** The receiver's addresses for so many endpoints, each a host of its own. */
export function endpointUrls(site: Site, word: string, count: number): string[] {
	return Array.from({ length: count }, (_, at) => site.urlOf(`${word}/${at}`, at));
}

/** Pending deliveries that are due, as publishing writes them, one event for each `fanOut` of them. */
export async function addPending(
	server: BenchServer,
	tenant: Pick<Tenant, "organizationId" | "endpointIds">,
	{ deliveries, fanOut = 1, batch = 50_000 }: { deliveries: number; fanOut?: number; batch?: number },
): Promise<void> {
	for (let from = 0; from < deliveries / fanOut; from += batch) {
		const events = Math.min(batch, deliveries / fanOut - from);
		await server.sql(pendingSql, [
			toUuid(tenant.organizationId),
			tenant.endpointIds.map(toUuid),
			events,
			fanOut,
			payloadOf(1024),
		]);
	}
}

const pendingSql = `
with made as (
	select n, uuid_v7() as id from generate_series(0, $3::int - 1) as n
), written as (
	insert into events (organization_id, id, type, payload, delivery_count, created_at)
	select $1::uuid, id, 'bench.sent', $5, $4::int, now() from made
)
insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts, max_attempts,
	next_attempt_at, created_at, updated_at)
select $1::uuid, uuid_v7(), ($2::uuid[])[1 + (n * $4::int + k) % array_length($2::uuid[], 1)], id, 'bench.sent',
	'event', 'pending', 0, 8, now(), now(), now()
from made, generate_series(0, $4::int - 1) as k`;

/** An envelope of about so many bytes. */
export function payloadOf(bytes: number): string {
	const head = `{"id":"${fromUuid("evt", "0".repeat(32))}","type":"bench.sent","created_at":"2026-01-01T00:00:00.000Z"`;
	return `${head},"data":{"pad":"${"x".repeat(bytes - head.length - 20)}"}}`;
}

/**
 * Throws away what was delivered, and holds the endpoints back, so that the sweep starts nothing before the
 * measurement does.
 */
export async function clear(server: BenchServer): Promise<void> {
	await server.sql("update webhook_endpoints set is_active = false");
	await server.sql("truncate events, deliveries, delivery_attempts");
	await server.sql("update delivery_lanes set due_at = null");
}

/** Brings statistics and the write-ahead log to the same point for each round. */
export async function settleDown(server: BenchServer): Promise<void> {
	await server.sql("vacuum analyze deliveries, events, delivery_lanes");
	await server.sql("checkpoint");
}

/** Lets the endpoints have what waits for them, from now on. More servers on one database are its replicas. */
export async function release(
	servers: readonly [BenchServer, ...BenchServer[]],
	tenants: readonly Pick<Tenant, "endpointIds">[],
): Promise<void> {
	const endpointIds = tenants.flatMap((tenant) => tenant.endpointIds);
	await servers[0].sql("update webhook_endpoints set is_active = true where id = any ($1::uuid[])", [
		endpointIds.map(toUuid),
	]);
	await Promise.all(servers.map((server) => server.child.call("wake", endpointIds)));
}
