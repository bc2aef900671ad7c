import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { fromUuid, type IdPrefix, newUuid } from "../../src/core/ids.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { ownSignatures } from "../deliveries/signatures.ts";
import { type Body, getBody, receiving } from "../deliveries/webhook-server.ts";
import { emptyDatabase } from "../support/empty-database.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { createBalancer } from "./balancer.ts";
import { startPublishing } from "./publishing.ts";

const migrations = fileURLToPath(new URL("../../migrations", import.meta.url));
const releases = fileURLToPath(new URL("../fixtures/releases", import.meta.url));
const { entries } = JSON.parse(await readFile(join(migrations, "meta", "_journal.json"), "utf8"));
/** The last migration of each release before this one. */
const former: string[] = entries.slice(0, -1).map(({ tag }: { tag: string }) => tag);

// Of every data file.
const owner = {
	organizationId: "org_01m80dtnaze009h0ykc22hph5r",
	key: "capy_live_4ysdm7tr82zea7mafrremczya0y03gr172fcdnaq",
};
const project = "/v1/projects/prj_01m80dtng0e00a9ezv0gqp2a6v";
const organization = `/v1/organizations/${owner.organizationId}`;
const endpoint = `${organization}/webhook-endpoints/whe_01m80dtnxae00asgfz286pmejd`;
const secret = "whsec_9t/ahmNooCS75frg9fmO2CRJp1ixsHw50E4DaJMj+T4=";

describe("the database of a release before", () => {
	it("is tried for each but the newest migration", () => {
		expect(former).toContain("0000_create_tables");
	});

	it.each(former)(
		"%s: a server of this release loses nothing of it, sends what waits and lists all, while more is published",
		async (tag) => {
			const receiver = await receiving();
			const databaseUrl = await emptyDatabase();
			const client = new pg.Client({ connectionString: databaseUrl });
			await client.connect();
			onTestFinished(() => client.end());
			await migrateUpTo(tag, client);
			const ids = await fill(tag, client, receiver.url);
			const before = await readTables(client);

			// The cluster is where it was.
			const env = { PROJECT_DIRECT_PORT: "29362" };
			const server = await startTestServer({ databaseUrl, keep: true, env });
			onTestFinished(() => server.close());
			const balancer = createBalancer();
			onTestFinished(() => balancer.close());
			balancer.add(server.url);
			await until(() => balancer.ready() === 1, { what: "the server of this release" });
			const publishing = startPublishing(balancer, owner, 2);
			onTestFinished(() => publishing.stop());
			await publishing.goOn(100);
			const waiting = ["whd_3", "whd_4", "whd_5"].map((name) => ids.get(name));
			const pending = "select from deliveries where state = 'pending' and id = any ($1)";
			await until(async () => (await client.query(pending, [waiting])).rowCount === 0, {
				what: "the deliveries that waited",
			});
			await publishing.goOn(100);
			await publishing.stop();
			expect(publishing.trouble).toEqual([]);

			expectNothingLost(before, await readTables(client), waiting);
			for (const [event, delivery] of [
				["evt_7", "whd_3"],
				["evt_10", "whd_4"],
				["evt_11", "whd_5"],
			] as const) {
				const sent = receiver.requests.filter(({ headers }) => headers["webhook-id"] === shown(ids, event));
				expect(sent.map(({ headers }) => headers["x-capydb-delivery"])).toEqual([shown(ids, delivery)]);
				expect(sent[0]?.headers["x-token"]).toBe("shop-token");
				expect(ownSignatures(sent[0], [secret])).toBe(true);
				const { payload } = before.get("events")?.find(({ id }) => id === ids.get(event)) ?? {};
				expect(sent[0]?.body.toString()).toBe(payload);
			}
			const { attempts } = await getBody(
				server,
				owner,
				`${endpoint}/deliveries/${shown(ids, "whd_5")}/attempts`,
			);
			expect(attempts).toMatchObject([
				{ number: 1, error_code: "unknown" },
				{ number: 2, response_status: 200 },
			]);
			await expectLists(server, before);
		},
	);
});

type Row = Record<string, unknown>;
type Tables = Map<string, Row[]>;

/** As a server of that release had it. */
async function migrateUpTo(tag: string, client: pg.Client): Promise<void> {
	const folder = await mkdtemp(join(tmpdir(), "capydb-migrations-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	await cp(migrations, folder, { recursive: true });
	const last = entries.findIndex((entry: { tag: string }) => entry.tag === tag);
	const journal = { dialect: "postgresql", entries: entries.slice(0, last + 1) };
	await writeFile(join(folder, "meta", "_journal.json"), JSON.stringify(journal));
	await migrate(drizzle({ client }), { migrationsFolder: folder });
	await ensurePartitions(async (statement) => (await client.query(statement)).rows);
}

/** Returns the ids that were made, by their names in the data file. */
async function fill(tag: string, client: pg.Client, receiver: string): Promise<Map<string, string>> {
	const text = await readFile(join(releases, `${await dataOf(tag)}.sql`), "utf8");
	const names = new Set([...text.matchAll(/\{(\w+_\d+)\}/g)].map(([, name]) => String(name)));
	// In their order, which is that of time.
	const inOrder = [...names].toSorted((left, right) => left.localeCompare(right, "en", { numeric: true }));
	const ids = new Map(inOrder.map((name) => [name, newUuid()]));
	await client.query(
		text
			.replaceAll("{receiver}", receiver)
			.replaceAll(/\{id:(\w+_\d+)\}/g, (_, name) => shown(ids, name))
			.replaceAll(/\{(\w+_\d+)\}/g, (_, name) => String(ids.get(name))),
	);
	return ids;
}

/** Of a release whose migration brings nothing that could be filled the data are those of the one before. */
async function dataOf(tag: string): Promise<string> {
	const files = (await readdir(releases)).map((name) => name.replace(".sql", ""));
	const last = files.toSorted().findLast((name) => name <= tag);
	if (last === undefined) throw new Error(`There are no data for ${tag} in ${releases}.`);
	return last;
}

/** An id of the data file as the API spells it. */
function shown(ids: Map<string, string>, name: string): string {
	return fromUuid(name.split("_")[0] as IdPrefix, ids.get(name) ?? "");
}

async function readTables(client: pg.Client): Promise<Tables> {
	const { rows: tables } = await client.query(`select relname as name from pg_class
		where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`);
	const read: Tables = new Map();
	for (const { name } of tables) {
		const { rows } = await client.query(`select to_jsonb(t) as row from "${name}" t`);
		if (rows.length > 0)
			read.set(
				name,
				rows.map(({ row }) => row),
			);
	}
	return read;
}

/** What the work itself changes: when what is next, and keys that expire. */
const changing = new Set([
	...["delivery_lanes", "endpoint_health", "delivery_exhaustions"],
	...["event_idempotency_keys", "inbound_dedup_keys"],
]);

/** Each row is there as it was, in the columns that it had; and what waited is delivered. */
function expectNothingLost(before: Tables, after: Tables, waiting: unknown[]): void {
	for (const [table, rows] of before) {
		if (changing.has(table)) continue;
		for (const row of rows) {
			const found = after.get(table)?.find(({ id }) => id === row.id);
			const wasWaiting = table === "deliveries" && waiting.includes(row.id);
			const { last_used_at: _used, ...expected } = wasWaiting ? delivered(row) : row;
			expect([table, found]).toMatchObject([table, expected]);
		}
	}
}

/** Of a delivery that waited, what its last attempt does not change. */
function delivered({ id, organization_id, endpoint_id, event_id, event_type, origin, created_at }: Row): Row {
	const kept = { id, organization_id, endpoint_id, event_id, event_type, origin, created_at };
	return { ...kept, state: "delivered", response_status: 200, next_attempt_at: null, claim_id: null };
}

/** Each list goes to its end, and shows all that was there. */
async function expectLists(server: TestServer, before: Tables): Promise<void> {
	const lists: [path: string, field: string, table: string, prefix: IdPrefix][] = [
		["/v1/projects", "projects", "projects", "prj"],
		[`${organization}/api-keys`, "api_keys", "api_keys", "key"],
		[`${organization}/audit-events`, "audit_events", "audit_events", "aud"],
		[`${organization}/events`, "events", "events", "evt"],
		[`${organization}/webhook-endpoints`, "webhook_endpoints", "webhook_endpoints", "whe"],
		[`${project}/integrations`, "integrations", "integrations", "int"],
		[`${project}/integrations/better-auth/events`, "events", "inbound_webhooks", "inb"],
		[`${project}/jobs`, "jobs", "jobs", "job"],
	];
	for (const [path, field, table, prefix] of lists) {
		const ids = before.get(table)?.map(({ id }) => fromUuid(prefix, String(id))) ?? [];
		expect([path, ids.length]).not.toEqual([path, 0]);
		const listed = await listAll(server, path, field);
		expect([path, ids.filter((id) => !listed.includes(id))]).toEqual([path, []]);
	}
	// Opens what was sealed.
	const { connections } = await getBody(server, owner, `${project}/connections`);
	expect(connections.direct_url).toMatch(/^postgres/);
}

async function listAll(server: TestServer, path: string, field: string): Promise<string[]> {
	const listed: string[] = [];
	for (let cursor: string | null = ""; cursor !== null; ) {
		const page: Body = await getBody(server, owner, `${path}?limit=250${cursor && `&cursor=${cursor}`}`);
		listed.push(...page[field].map(({ id }: { id: string }) => id));
		cursor = page.next_cursor;
	}
	return listed;
}
