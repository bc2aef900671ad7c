import { describe, expect, it } from "vitest";
import { addEndpoint, addOrganization, postEvents, receiving } from "../deliveries/webhook-server.ts";
import { type ClerkServer, endedJob, signingSecret, startClerkServer } from "../integrations/clerk-server.ts";
import { addIdleJob, getJob, hurry, nextAttemptSeconds, runOnce } from "../jobs/running-jobs.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { quietTrigger } from "../support/triggers.ts";

/**
 * Lets every transaction that writes such a row fail at its very end: all statements of it went well, and the
 * commit is refused. Returns how to let them pass again.
 */
async function breakCommits(
	server: TestServer,
	row: { table: string; on: string; when: string },
): Promise<() => Promise<void>> {
	await server.sql(`
		create or replace function refuse_commit() returns trigger language plpgsql as $$
		begin raise exception 'the commit is refused'; end $$`);
	await server.sql(`
		create constraint trigger refuse_commit after ${row.on} on ${row.table}
		deferrable initially deferred for each row when (${row.when}) execute function refuse_commit()`);
	return () => quietTrigger(server, "refuse_commit");
}

/** What is there of each kind. */
async function counts(server: TestServer, types: string[]) {
	const [row] = await server.sql(
		`select (select count(*)::int from events where type = any($1)) as events,
			(select count(*)::int from deliveries where event_type = any($1)) as deliveries,
			(select count(*)::int from event_idempotency_keys) as keys`,
		[types],
	);
	return row;
}

const nothing = { events: 0, deliveries: 0, keys: 0 };

async function withReceiver(started: { server: TestServer }, owner: { organizationId: string; key: string }) {
	const receiver = await receiving();
	await addEndpoint(started.server, owner, { url: receiver.url, event_types: ["*"] });
	return receiver;
}

describe("an event and its deliveries", () => {
	it.each([
		["events", "new.type = 'half.done'"],
		["deliveries", "new.event_type = 'half.done'"],
		["event_idempotency_keys", "true"],
	])("that a customer publishes are not there when the commit of %s is refused", async (table, when) => {
		const server = await startTestServer();
		const owner = await addOrganization(server);
		const receiver = await withReceiver({ server }, owner);
		const mend = await breakCommits(server, { table, on: "insert", when });
		const sent = JSON.stringify({ type: "half.done", data: 1, idempotency_key: "k" });
		const refused = await postEvents(server, owner, sent);
		expect([refused.status, refused.body.code]).toEqual([500, "server.error"]);
		expect(await counts(server, ["half.done"])).toEqual(nothing);
		await mend();
		const taken = await postEvents(server, owner, sent);
		expect([taken.status, taken.body.deliveries]).toEqual([202, 1]);
		await receiver.waitFor(1);
		expect(await counts(server, ["half.done"])).toEqual({ events: 1, deliveries: 1, keys: 1 });
	});

	it("of a job's end are there only with that end, and come with the attempt that commits", async () => {
		const server = await startTestServer();
		const tenant = await server.tenant();
		const receiver = await withReceiver({ server }, tenant);
		const mend = await breakCommits(server, {
			table: "jobs",
			on: "update",
			when: "new.state = 'completed'",
		});
		const job = await addIdleJob(server, tenant, "instance.create");
		const before = await counts(server, ["job.completed", "job.failed"]);
		await runOnce(server, job, { run: async () => undefined });
		expect((await getJob(server, tenant, job.id)).body.job).toMatchObject({ state: "pending", attempts: 1 });
		expect(await counts(server, ["job.completed", "job.failed"])).toEqual(before);
		expect(await nextAttemptSeconds(server, job.id)).not.toBeNull();
		await mend();
		await hurry(server, job.id);
		expect(await endedJob(server, tenant, job.id)).toMatchObject({ state: "completed", attempts: 2 });
		const [request, ...more] = await receiver.waitFor(1);
		expect(JSON.parse(String(request?.body)).data.job).toMatchObject({ id: job.id, state: "completed" });
		expect(more).toEqual([]);
	});

	it("of a change by a customer are there only with the change, its audit row, its job and its task", async () => {
		const started = await startClerkServer(2);
		const { server, tenant } = started;
		const receiver = await withReceiver(started, tenant);
		const mend = await breakCommits(server, {
			table: "audit_events",
			on: "insert",
			when: "new.action = 'project.integration.connected'",
		});
		const refused = await connectClerk(started);
		expect([refused.status, refused.body.code]).toEqual([500, "server.error"]);
		const types = ["integration.connected", "job.completed", "job.failed"];
		const left = await server.sql(
			`select 'integration' from integrations
			union all select 'job' from jobs where type like 'integration.%'
			union all select 'task' from pgboss.job where name like 'jobs.run%' and state < 'completed'
			union all select 'audit' from audit_events where action like 'project.integration.%'
			union all select 'delivery' from deliveries
			union all select 'event' from events where type = 'integration.connected'`,
		);
		expect(left).toEqual([]);
		expect(receiver.requests).toEqual([]);
		await mend();
		const taken = await connectClerk(started);
		expect(taken.status).toBe(201);
		await endedJob(server, tenant, taken.body.job.id);
		const requests = await receiver.waitFor(2);
		expect(requests.map(({ headers }) => headers["x-capydb-event"]).sort()).toEqual(types.slice(0, 2).sort());
	});
});

function connectClerk({ server, clerk, tenant }: ClerkServer) {
	return server.call("POST", `/v1/projects/${tenant.projectId}/integrations/clerk/connect`, {
		key: tenant.key,
		body: { secret_key: clerk.secretKey, webhook_signing_secret: signingSecret },
	});
}
