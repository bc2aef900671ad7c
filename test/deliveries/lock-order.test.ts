import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { newUuid, toUuid } from "../../src/core/ids.ts";
import { type ClaimedDelivery, claimStore } from "../../src/deliveries/engine/claim-store.ts";
import { settleStore } from "../../src/deliveries/engine/settle-store.ts";
import { type Database, openDatabase } from "../../src/platform/db.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { addEndpoint, addOrganization, publish } from "./webhook-server.ts";

const endpointsInAll = 12;

type Stage = { server: TestServer; database: Database; claimed: ClaimedDelivery[]; lanes: string[] };

/** One claimed delivery of each of many endpoints, whose lanes are given in their order. */
async function openStage(): Promise<Stage> {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(server);
	const lanes: string[] = [];
	for (let made = 0; made < endpointsInAll; made += 1) {
		const { id } = await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/" });
		lanes.push(toUuid(id));
	}
	await publish(server, owner, { type: "a", data: 1 });
	await server.sql("update delivery_lanes set due_at = clock_now()");
	const database = openDatabase({
		url: server.databaseUrl,
		applicationName: "capydb-test",
		connectionsMax: 1,
		statementTimeoutMs: 60_000,
		plansByKey: true,
		log: silentLog,
	});
	onTestFinished(() => database.close());
	const limits = { rows: 40, lanes: 40, endpointMax: 1, leaseMs: 30_000, busy: [], fullOrganizations: [] };
	const claimed = await claimStore(database).claim(crypto.randomUUID(), limits);
	expect(claimed).toHaveLength(endpointsInAll);
	return { server, database, claimed, lanes: lanes.toSorted() };
}

async function expectOrderlyLocks(stage: Stage, work: (stage: Stage) => Promise<unknown>): Promise<void> {
	const { server, lanes } = stage;
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	onTestFinished(() => holder.end());
	const lock = "select endpoint_id from delivery_lanes where endpoint_id = any ($1) for update";
	await holder.query("begin");
	await holder.query(lock, [lanes.slice(0, 1)]);
	const working = work(stage);
	const waits =
		"select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
	await until(async () => (await server.sql(waits)).length === 1);
	// Whoever waits for the first lane holds none of the others: a statement that takes them in order gets them.
	const { rowCount } = await holder.query(`${lock} nowait`, [lanes]);
	expect(rowCount).toBe(endpointsInAll);
	await holder.query("commit");
	await working;
}

it("results of many endpoints lock their lanes in order, so that no two statements wait for each other", async () => {
	await expectOrderlyLocks(await openStage(), async ({ database, claimed }) =>
		settleStore(database).settle(
			claimed.map((delivery) => ({
				id: newUuid(),
				delivery,
				verdict: {
					state: "pending" as const,
					responseStatus: 500,
					errorCode: "http_5xx" as const,
					error: "It failed.",
					waitMs: 1_000,
				},
				at: new Date(),
				durationMs: 1,
				responseHeaders: null,
				responseBody: null,
				isPrivate: false,
			})),
		),
	);
});

it("deliveries of many endpoints that are given back lock their lanes in order, too", async () => {
	await expectOrderlyLocks(await openStage(), ({ database, claimed }) =>
		claimStore(database).release(claimed),
	);
});
