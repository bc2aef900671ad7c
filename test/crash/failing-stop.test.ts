import { expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { onConnection } from "../../src/platform/db.ts";
import {
	addEndpoint,
	addOrganization,
	listDeliveries,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const leaseMs = 30_000;
const dueSql = "select from delivery_lanes where endpoint_id = $1 and due_at <= clock_now()";

it("a replica that is told to stop and cannot give back what it holds lets what is in flight end all the same", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const receiver = await receiving();
	const answer = Promise.withResolvers<number>();
	receiver.respondWith(() => answer.promise);
	const owner = await addOrganization(server);
	const busy = await addEndpoint(server, owner, { url: `${receiver.url}/busy`, event_types: ["busy"] });
	const late = await addEndpoint(server, owner, { url: `${receiver.url}/late`, event_types: ["late"] });
	const worker = await startWorker(server, { ROLE: "all" });
	await publish(server, owner, { type: "busy", data: 1 });
	await receiver.waitFor(1);

	await refuseReleases(server);
	await server.ctx.stores.deliveryPause.begin(null);
	await publish(server, owner, { type: "late", data: 1 });
	await until(async () => (await server.sql(dueSql, [toUuid(late.id)])).length === 1);
	const asked = await onConnection({ connectionString: server.databaseUrl }, async (client) => {
		await client.query("begin; lock table organizations in access exclusive mode");
		const waiting = fetch(`${worker.url}/v1/organizations/${owner.organizationId}`, {
			headers: { authorization: `Bearer ${owner.key}` },
		});
		await untilHeld(server, '%from "organizations"%');
		await whileClaiming(server, async () => {
			worker.signal("SIGTERM");
			await until(() => worker.output().includes('"stopping"'));
		});
		await until(() => /could not be given back|stopping went wrong/.test(worker.output()));
		return { answer: waiting };
	});
	expect((await asked.answer).status).toBe(200);
	expect(receiver.requests.length).toBe(1);
	answer.resolve(200);
	expect(await worker.exited).toEqual({ code: 0, signal: null });

	const [sent] = await listDeliveries(server, owner, busy);
	expect([sent.state, sent.attempts]).toEqual(["delivered", 1]);
	const [held] = await listDeliveries(server, owner, late);
	expect(held.state).toBe("pending");
	expect(receiver.requests.length).toBe(1);
	// Its lease covers it.
	await server.advance(leaseMs);
	const other = await startTestServer({ databaseUrl: server.databaseUrl });
	await receiver.waitFor(2);
	await until(async () => (await listDeliveries(server, owner, late))[0].state === "delivered");
	await other.close();
});

it("a replica some parts of which cannot be closed goes through all of them, says which, and ends with code 1", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const worker = await startWorker(server, { NODE_OPTIONS: `--import=${breakingPools()}` });
	worker.signal("SIGTERM");
	expect(await worker.exited).toEqual({ code: 1, signal: null });
	const line = worker.output().match(/^.*"stopping went wrong".*$/m)?.[0] ?? "{}";
	const closed = JSON.parse(line).err.errors.map(({ message }: Error) => message);
	const pools = ["api", "backlog", "claims", "engine", "readiness"].map((name) => `capydb-${name} is stuck`);
	expect(closed).toEqual(expect.arrayContaining(pools));
});

/** A module for a process in which no pool says that it was closed well. */
function breakingPools(): string {
	const source = `
		import { createRequire } from "node:module";
		const { Pool } = createRequire(${JSON.stringify(import.meta.url)})("pg");
		const { end } = Pool.prototype;
		Pool.prototype.end = async function () {
			await end.call(this);
			throw new Error(this.options.application_name + " is stuck");
		};`;
	return `data:text/javascript,${encodeURIComponent(source)}`;
}

/** Giving back is all that takes an attempt back. */
function refuseReleases(server: TestServer): Promise<unknown> {
	return server.sql(`
		create function refuse_release() returns trigger language plpgsql as
			$$ begin raise exception 'No.' using errcode = '57P03'; end $$;
		create trigger refuse_release before update on deliveries for each row
			when (new.attempts < old.attempts) execute function refuse_release()`);
}

/** Until a statement like this waits for a lock. */
async function untilHeld(server: TestServer, like: string): Promise<void> {
	const waiting = `select from pg_stat_activity
		where datname = current_database() and wait_event_type = 'Lock' and query like $1`;
	await until(async () => (await server.sql(waiting, [like])).length > 0, { what: like });
}

/** Holds up the next claim while `work` is done; then it takes what waited for the end of a pause. */
async function whileClaiming(server: TestServer, work: () => Promise<void>): Promise<void> {
	await onConnection({ connectionString: server.databaseUrl }, async (client) => {
		await client.query("begin; lock table delivery_lanes in exclusive mode");
		await untilHeld(server, "%candidates as%");
		await work();
		await client.query("delete from delivery_pause; commit");
	});
}
