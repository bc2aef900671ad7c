import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditStore } from "../../src/audit/store.ts";
import {
	type DeliveryId,
	type EndpointId,
	type EventId,
	fromUuid,
	type IntegrationId,
	type OrganizationId,
	type ProjectId,
	uuidFloor,
} from "../../src/core/ids.ts";
import { deliveryStore } from "../../src/deliveries/store.ts";
import { deploymentStore } from "../../src/deployments/store.ts";
import { eventStore } from "../../src/events/store.ts";
import { inboundStore } from "../../src/inbound/store.ts";
import { jobStore } from "../../src/jobs/store.ts";
import { organizationStore } from "../../src/organizations/store.ts";
import type { Database } from "../../src/platform/db.ts";
import { type Explainer, nodesOf, openExplainer } from "../support/explain.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

/** The tables that grow without bound; a partition's name begins with its table's. */
const growing = [
	"events",
	"deliveries",
	"delivery_attempts",
	"inbound_webhooks",
	"jobs",
	"audit_events",
	"deployments",
];

const stores = {
	audit: auditStore,
	deliveries: deliveryStore,
	deployments: deploymentStore,
	events: eventStore,
	inbound: inboundStore,
	jobs: jobStore,
};

/** Whose rows are listed: one of many, and in the middle of them. */
type Place = {
	organizationId: OrganizationId;
	projectId: ProjectId;
	endpointId: EndpointId;
	integrationId: IntegrationId;
	eventId: EventId;
	deliveryId: DeliveryId;
	resource: string;
	since: Date;
	until: Date;
};

type Case = [query: string, run: (database: Database, place: Place) => Promise<unknown>];

const limit = 50;
const start = { limit, before: null };
const dayMs = 24 * 3600_000;
/** A cursor of the day before yesterday. */
const cursor = () => uuidFloor(new Date(Date.now() - 2 * dayMs));

const madeOfMonth = () => ({
	from: new Date(Date.now() - 31 * dayMs),
	to: new Date(),
	countMax: 500_000,
});

const deliveriesBy =
	(filter: (place: Place) => object, before = false) =>
	(database: Database, place: Place) =>
		deliveryStore(database).list(place.endpointId, {
			limit,
			before: before ? fromUuid("whd", cursor()) : null,
			...filter(place),
		});

const cases: Case[] = [
	["deliveries.list", deliveriesBy(() => ({}))],
	["deliveries.list after a cursor", deliveriesBy(() => ({}), true)],
	["deliveries.list by state delivered", deliveriesBy(() => ({ state: "delivered" }))],
	["deliveries.list by state failed", deliveriesBy(() => ({ state: "failed" }))],
	["deliveries.list by state pending", deliveriesBy(() => ({ state: "pending" }))],
	["deliveries.list by state, after a cursor", deliveriesBy(() => ({ state: "failed" }), true)],
	["deliveries.list by event type", deliveriesBy(() => ({ eventType: "type.1" }))],
	["deliveries.list by an event type that never was", deliveriesBy(() => ({ eventType: "type.none" }))],
	["deliveries.list by event type, after a cursor", deliveriesBy(() => ({ eventType: "type.1" }), true)],
	["deliveries.list by time", deliveriesBy(({ since, until }) => ({ since, until }))],
	[
		"deliveries.list by everything",
		deliveriesBy(({ since, until }) => ({ since, until, state: "failed", eventType: "type.1" }), true),
	],
	["deliveries.listOfEvent", (database, { eventId }) => deliveryStore(database).listOfEvent(eventId, limit)],
	["deliveries.listAttempts", (database, { deliveryId }) => deliveryStore(database).listAttempts(deliveryId)],
	["deliveries.dropOrphans", (database) => deliveryStore(database).dropOrphans()],
	["deployments.list", (database, { projectId }) => deploymentStore(database).list(projectId, start)],
	["events.list", (database, { organizationId }) => eventStore(database).list(organizationId, start)],
	[
		"events.list after a cursor",
		(database, { organizationId }) =>
			eventStore(database).list(organizationId, { limit, before: fromUuid("evt", cursor()) }),
	],
	[
		"events.list by type",
		(database, { organizationId }) => eventStore(database).list(organizationId, { ...start, type: "type.1" }),
	],
	[
		"organizations.countMade of events, to count usage",
		(database, { organizationId }) =>
			organizationStore(database).countMade("events", organizationId, madeOfMonth()),
	],
	[
		"organizations.countMade of deliveries, to count usage",
		(database, { organizationId }) =>
			organizationStore(database).countMade("deliveries", organizationId, madeOfMonth()),
	],
	[
		"organizations.usage since a moment",
		(database, { organizationId }) => {
			const from = new Date(Date.now() - 600_000);
			return organizationStore(database).usage(organizationId, { events: { from }, deliveries: { from } });
		},
	],
	["jobs.list", (database, { projectId }) => jobStore(database).list(projectId, start)],
	["jobs.listUnmoved", (database) => jobStore(database).listUnmoved(60, limit)],
	["jobs.listOpen", (database, { resource }) => jobStore(database).listOpen(resource)],
	[
		"audit.list of an organization",
		(database, { organizationId }) => auditStore(database).list({ organizationId }, start),
	],
	["audit.list of a project", (database, { projectId }) => auditStore(database).list({ projectId }, start)],
	["inbound.list", (database, { integrationId }) => inboundStore(database).list(integrationId, start)],
	[
		"inbound.list after a cursor",
		(database, { integrationId }) =>
			inboundStore(database).list(integrationId, { limit, before: fromUuid("inb", cursor()) }),
	],
	[
		"inbound.listWaiting",
		(database, { integrationId }) => inboundStore(database).listWaiting(integrationId, limit),
	],
	["inbound.listOverdue", (database) => inboundStore(database).listOverdue(30, { after: null, limit })],
];

let server: TestServer;
let explainer: Explainer;
let place: Place;
/** Tables and partitions that have rows: of an empty one there is nothing to read, in whatever way. */
let filled: Set<string>;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { ROLE: "api" } });
	place = await seed(server);
	const rows = await server.sql<{ name: string }>(
		"select relname as name from pg_class where relkind = 'r' and reltuples > 0",
	);
	filled = new Set(rows.map(({ name }) => name));
	explainer = await openExplainer(server.databaseUrl);
});
afterAll(async () => {
	await explainer?.close();
	await server?.close();
});

describe("a list", () => {
	it.each(cases)(
		"%s reads by an index, and neither scans nor sorts a table that grows",
		async (_query, run) => {
			await run(explainer.database, place);
			const plans = explainer.plans();
			expect(plans).not.toEqual([]);
			const faults = plans.flatMap(nodesOf).flatMap((node) => {
				const { "Node Type": type, "Relation Name": relation = "" } = node;
				if (type === "Seq Scan" && isGrowing(relation)) return [`${type} of ${relation}`];
				// What is no more than a page may be sorted: it does not grow with the history.
				if (type !== "Sort" || node["Plan Rows"] <= limit) return [];
				return nodesOf(node).some((below) => isGrowing(below["Relation Name"] ?? ""))
					? [`${type} of ${node["Plan Rows"]} rows`]
					: [];
			});
			expect([...new Set(faults)]).toEqual([]);
		},
	);

	it("is asked of tables that are filled, over more than one partition", () => {
		const names = growing.map((table) => [...filled].filter((name) => name.startsWith(table)).length);
		expect(Math.min(...names)).toBeGreaterThan(0);
		expect([...filled].filter((name) => name.startsWith("deliveries_2"))).toHaveLength(2);
	});

	it("of these tables has a case here", () => {
		const names = Object.entries(stores).flatMap(([name, store]) =>
			Object.keys(store(explainer.database))
				.filter((method) => method.startsWith("list"))
				.map((method) => `${name}.${method}`),
		);
		const missing = names.filter((name) => !cases.some(([query]) => query.split(" ")[0] === name));
		expect(missing).toEqual([]);
	});
});

function isGrowing(relation: string): boolean {
	return filled.has(relation) && growing.includes(relation.replace(/_\d{8}$/, ""));
}

/** Nine days of rows, over two partitions, in every growing table: 40 endpoints, 20 organizations, 20 projects, 20 integrations. */
async function seed({ sql }: TestServer): Promise<Place> {
	await sql(`
		create function pg_temp.at(n int) returns uuid language sql volatile as $$
			select (lpad(to_hex((extract(epoch from now() - n * interval '20 seconds') * 1000)::bigint), 12, '0')
				|| '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5('x' || n), 1, 15))::uuid
		$$;
		create function pg_temp.of(kind text, n int) returns uuid language sql immutable as $$
			select (substr(md5(kind), 1, 8) || '-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid
		$$;
		create temporary table n as select n, now() - n * interval '20 seconds' as at from generate_series(1, 40000) n;
		${inserts.join(";\n")};
		analyze`);
	const [row] = await sql<Record<string, string>>(
		"select event_id, id from deliveries where attempts > 1 order by id desc offset 1000 limit 1",
	);
	const uuid = (kind: string, n: number) => `${hash[kind]}-0000-7000-8000-${String(n).padStart(12, "0")}`;
	const [hash = {}] = await sql<Record<string, string>>(
		`select ${["org", "prj", "whe", "int"].map((kind) => `substr(md5('${kind}'), 1, 8) as ${kind}`).join(", ")}`,
	);
	return {
		organizationId: fromUuid("org", uuid("org", 7)),
		projectId: fromUuid("prj", uuid("prj", 7)),
		endpointId: fromUuid("whe", uuid("whe", 7)),
		integrationId: fromUuid("int", uuid("int", 7)),
		eventId: fromUuid("evt", row?.event_id ?? ""),
		deliveryId: fromUuid("whd", row?.id ?? ""),
		resource: "integration:7",
		since: new Date(Date.now() - 5 * dayMs),
		until: new Date(Date.now() - dayMs),
	};
}

const inserts = [
	`insert into events (organization_id, id, type, payload, delivery_count, created_at)
		select pg_temp.of('org', n % 20), pg_temp.at(n), 'type.' || n % 13, repeat('x', 200), 1, at from n`,
	`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
			max_attempts, next_attempt_at, created_at, updated_at)
		select pg_temp.of('org', n % 20), pg_temp.at(n), pg_temp.of('whe', n % 40), pg_temp.at(n), 'type.' || n % 13,
			'event', case when n % 11 = 0 then 'failed' when n % 9 = 0 then 'pending' else 'delivered' end,
			1 + n % 3, 8, case when n % 11 > 0 and n % 9 = 0 then at + interval '1 day' end, at, at from n`,
	`insert into delivery_attempts (organization_id, id, endpoint_id, delivery_id, number, at, duration_ms)
		select pg_temp.of('org', n % 20), pg_temp.at(n), pg_temp.of('whe', n % 40), pg_temp.at(n), 1, at, 5 from n`,
	`insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id, type,
			state, document, body_hash, received_at)
		select pg_temp.of('org', n % 20), pg_temp.at(n), pg_temp.of('prj', n % 20), pg_temp.of('int', n % 20), 'clerk',
			n::text, 'user.updated', case when n % 500 < 20 then 'received' else 'processed' end, '{}', ''::bytea, at
		from n`,
	`insert into jobs (id, organization_id, project_id, type, state, max_attempts, locked_resource, input)
		select pg_temp.at(n), pg_temp.of('org', n % 20), pg_temp.of('prj', n % 20), 'integration.sync_env',
			case when n <= 20 then 'pending' else 'completed' end, 5, 'integration:' || n % 20, '{}' from n`,
	`insert into deployments (id, organization_id, project_id, integration_id, provider, external_id, state, state_at,
			announced, context, is_preview, branch, started_at)
		select pg_temp.at(n), pg_temp.of('org', n % 20), pg_temp.of('prj', n % 20), pg_temp.of('int', n % 20), 'vercel',
			n::text, 'ready', at, '{created}', 'preview', true, 'branch-' || n % 50, at from n`,
	`insert into audit_events (id, organization_id, project_id, action, actor_kind, metadata)
		select pg_temp.at(n), pg_temp.of('org', n % 20), pg_temp.of('prj', n % 20), 'project.created', 'api_key', '{}'
		from n`,
];
