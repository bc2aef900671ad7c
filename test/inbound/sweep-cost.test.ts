import { expect, it } from "vitest";
import { fromUuid, newUuid } from "../../src/core/ids.ts";
import { inboundStore } from "../../src/inbound/store.ts";
import { createInboundSweep } from "../../src/inbound/sweep-inbound.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { measuring } from "../support/explain.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";

/** Webhooks of one integration that came some time ago and wait, and the planner not told of them. */
async function waitingFor({ sql }: TestServer, integration: string, secondsAgo: number, count: number) {
	// Ids of one millisecond have no order, and the first of them is to be the first that came.
	await sql("select pg_sleep(0.002)");
	await sql(
		`insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id, type,
			state, document, body_hash, received_at)
		select $1, uuid_v7(), $1, $1, 'clerk', n::text, 'user.updated', 'received', '{}', ''::bytea,
			clock_now() - $2 * interval '1 second'
		from generate_series(1, $3) n`,
		[integration, secondsAgo, count],
	);
}

/** The integrations whose task waits. */
async function tasks({ sql }: TestServer): Promise<string[]> {
	const text = "select singleton_key as id from pgboss.job where name = 'inbound.apply'";
	return (await sql<{ id: string }>(text)).map(({ id }) => id).toSorted();
}

it("integrations with webhooks that wait too long are found once each, and those not that wait for their task", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const [late, later, fresh] = [newUuid(), newUuid(), newUuid()];
	await waitingFor(server, late, 6, 3);
	await waitingFor(server, later, 600, 1);
	await waitingFor(server, later, 0, 1);
	await waitingFor(server, fresh, 4, 2);
	const { inbound } = server.ctx.stores;
	const found = await inbound.listOverdue(5, { after: null, limit: 10 });
	expect(found.toSorted()).toEqual([late, later].map((id) => fromUuid("int", id)).toSorted());
	expect(await inbound.listOverdue(5, { after: null, limit: 1 })).toHaveLength(1);
	await server.sql("update inbound_webhooks set state = 'processed'");
	expect(await inbound.listOverdue(5, { after: null, limit: 10 })).toEqual([]);
});

it("those that cannot take effect never hide another whose task was lost: each sweep goes on where the last ended", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const integrations = Array.from({ length: 5 }, () => newUuid());
	for (const integration of integrations) await waitingFor(server, integration, 60, 2);
	const sweep = createInboundSweep(server.ctx, 2);
	const ids = integrations.map((id): string => fromUuid("int", id)).toSorted();
	for (const found of [2, 4, 5]) {
		await sweep();
		expect(await tasks(server)).toEqual(ids.slice(0, found));
	}
	await server.sql("delete from pgboss.job where name = 'inbound.apply'");
	await sweep();
	expect(await tasks(server)).toEqual(ids.slice(0, 2));
});

it("finding them costs no more when 100,000 wait for one, before and after the planner has heard of it", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const pool = openDatabase({
		url: server.databaseUrl,
		applicationName: "test",
		connectionsMax: 1,
		log: silentLog,
		statementTimeoutMs: 30_000,
	});
	const pages = async () => {
		const measured: { pages: number; wastedRows: number }[] = [];
		await inboundStore(measuring(pool, measured)).listOverdue(5, { after: null, limit: 1_000 });
		return measured[0]?.pages ?? Number.NaN;
	};
	try {
		const integrations = [newUuid(), newUuid(), newUuid()];
		for (const integration of integrations) await waitingFor(server, integration, 60, 500);
		const few = await pages();
		await waitingFor(server, integrations[1] ?? "", 60, 100_000);
		expect(await pages()).toBeLessThan(2 * few);
		await server.sql("analyze inbound_webhooks");
		expect(await pages()).toBeLessThan(2 * few);
	} finally {
		await pool.close();
	}
});
