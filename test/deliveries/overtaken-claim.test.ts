import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { newUuid, type OrganizationId, toUuid } from "../../src/core/ids.ts";
import { type ClaimedDelivery, claimStore } from "../../src/deliveries/engine/claim-store.ts";
import { laneStore } from "../../src/deliveries/engine/lane-store.ts";
import { settleStore } from "../../src/deliveries/engine/settle-store.ts";
import { databaseOn, openDatabase } from "../../src/platform/db.ts";
import { startTestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { addEndpoint, addOrganization } from "./webhook-server.ts";

const lockKey = 1;
/** Holds claims up where they look for due lanes: their view of the rows is taken by then, no lane is locked yet. */
const holdingClock = `
create or replace function clock_now() returns timestamptz language plpgsql stable as $$
begin
	if current_setting('application_name') = 'capydb-test-held' then
		perform pg_advisory_xact_lock_shared(${lockKey});
	end if;
	return now();
end $$`;

async function openStage() {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(server);
	const endpoint = await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/" });
	await server.sql(holdingClock);
	const database = openDatabase({
		url: server.databaseUrl,
		applicationName: "capydb-test-held",
		connectionsMax: 1,
		statementTimeoutMs: 60_000,
		plansByKey: true,
		log: silentLog,
	});
	onTestFinished(() => database.close());
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	onTestFinished(() => holder.end());
	const limits = { rows: 40, lanes: 40, endpointMax: 20, leaseMs: 30_000, busy: [], fullOrganizations: [] };
	const beside = databaseOn(holder);
	const claimAgain = () => claimStore(database).claim(crypto.randomUUID(), limits);
	const claim = async () => {
		await server.sql("update delivery_lanes set due_at = least(due_at, now())");
		return claimAgain();
	};
	return {
		/** What a claim takes of a lane that is due. */
		claim,
		/** What one takes only if the last one left the lane due. */
		claimAgain,
		/** A claim that has its view of the rows, but no lane, while `work` is done. */
		claimAround: async (work: () => Promise<void>) => {
			await holder.query("select pg_advisory_lock($1)", [lockKey]);
			const claiming = claim();
			const waits =
				"select from pg_stat_activity where application_name = 'capydb-test-held' and wait_event = 'advisory'";
			await until(async () => (await server.sql(waits)).length === 1);
			await work();
			await holder.query("select pg_advisory_unlock($1)", [lockKey]);
			return claiming;
		},
		/** All that a publisher does, but for the wake after it. */
		publishUnwoken: async () => {
			const organizationId = owner.organizationId as OrganizationId;
			await server.ctx.stores.publish.publish([{ organizationId, projectId: null, type: "a", data: "1" }], {
				maxAttempts: 8,
				firstWaitMs: 0,
				createdAt: server.ctx.clock.now(),
			});
		},
		wake: () => laneStore(beside).markDue([endpoint.id]),
		settle: async (delivery: ClaimedDelivery, waitMs: number) => {
			const failure = { responseStatus: 500, errorCode: "http_5xx" as const, error: "It failed." };
			await settleStore(beside).settle([
				{
					id: newUuid(),
					delivery,
					verdict: { state: "pending", ...failure, waitMs },
					at: new Date(),
					durationMs: 1,
					responseHeaders: null,
					responseBody: null,
					isPrivate: false,
				},
			]);
		},
		dueAt: async () => {
			const text = "select due_at from delivery_lanes where endpoint_id = $1";
			return (await server.sql<{ due_at: Date | null }>(text, [toUuid(endpoint.id)]))[0]?.due_at;
		},
	};
}

it("a claim whose view of the rows is older than a wake does not put the lane to rest over what it cannot see", async () => {
	const { claim, claimAround, claimAgain, publishUnwoken, wake } = await openStage();
	// Planned by now: only executing it is held up.
	expect(await claim()).toEqual([]);
	const taken = await claimAround(async () => {
		await publishUnwoken();
		await wake();
	});
	expect(taken).toEqual([]);
	expect(await claimAgain()).toHaveLength(1);
	expect(await claimAgain()).toEqual([]);
});

it("a claim whose view of the rows is older than a result leaves the lane due for the retry", async () => {
	const { claim, claimAround, publishUnwoken, settle, dueAt } = await openStage();
	await publishUnwoken();
	const [delivery] = await claim();
	if (!delivery) throw new Error("nothing was claimed");
	expect(await claimAround(() => settle(delivery, 1_000))).toEqual([]);
	const retryAt = Date.now() + 1_000;
	expect((await dueAt())?.getTime()).toBeLessThanOrEqual(retryAt);
});
