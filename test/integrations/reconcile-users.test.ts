import { describe, expect, it } from "vitest";
import { queueReconciliations } from "../../src/integrations/queue-reconciliations.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type ClerkServer,
	connect,
	endedJob,
	getIntegration,
	projectSql,
	startClerkServer,
} from "./clerk-server.ts";

const nightMs = 24 * 3_600_000;

/** The jobs of the integration that there are, newest first, all of them ended. */
async function jobsOf({ server, tenant }: Pick<ClerkServer, "server" | "tenant">, count: number) {
	return until(async () => {
		const { body } = await server.call("GET", `/v1/projects/${tenant.projectId}/jobs`, { key: tenant.key });
		const jobs = body.jobs.filter(({ type }: { type: string }) => type.startsWith("integration."));
		const areEnded = jobs.every(({ state }: { state: string }) => ["completed", "failed"].includes(state));
		return jobs.length >= count && areEnded ? jobs : null;
	});
}

/** Lets a night pass, and returns its jobs, oldest first: the reconciliation, and the backfill that it queued. */
async function night(started: Pick<ClerkServer, "server" | "tenant">, jobsBefore: number) {
	await started.server.advance(nightMs);
	await started.server.ctx.tasks.send("users.reconcile", {});
	const jobs = await jobsOf(started, jobsBefore + 1);
	return jobs.slice(0, jobs.length - jobsBefore).toReversed();
}

async function usersOf(server: TestServer, tenant: Tenant) {
	const [row] = await projectSql(
		server,
		tenant,
		"select count(*)::int as living from capydb_auth.users where deleted_at is null",
	);
	return row?.living;
}

describe("the nightly reconciliation", () => {
	it("says that nothing is missing, publishes no user events, and queues nothing", async () => {
		const started = await startClerkServer(7);
		await connect(started);
		const jobs = await night(started, 1);
		expect(jobs).toMatchObject([{ type: "integration.clerk_reconcile", state: "completed" }]);
		expect(jobs[0].last_stdout).toBe("Clerk has 7 users, capydb_auth.users has 7\nnothing is missing");
		expect(await started.server.sql("select 1 from events where type like 'user.%'")).toEqual([]);
	});

	it("queues a backfill for users whose webhooks never came, created and deleted ones", async () => {
		const started = await startClerkServer(7);
		const { clerk, server, tenant } = started;
		await connect(started);
		const [one] = clerk.users.values();
		if (!one) throw new Error("The fake has no users.");
		for (const id of ["user_new_1", "user_new_2"]) clerk.users.set(id, { ...one, id });
		clerk.deleteUser("user_0000002");
		const [reconciliation, backfill] = await night(started, 1);
		expect(reconciliation.last_stdout).toBe("Clerk has 8 users, capydb_auth.users has 7\nqueued a backfill");
		expect(backfill).toMatchObject({ type: "integration.clerk_backfill", state: "completed" });
		expect(backfill.last_stdout).toContain(
			"backfilled 8 users\nsoft-deleted 1 users that Clerk no longer has",
		);
		expect(await usersOf(server, tenant)).toBe(8);
		const [again] = await night(started, 3);
		expect(again.last_stdout).toContain("nothing is missing");
	});

	it("counts whom the last backfill left out, so that it does not read all users every night", async () => {
		const started = await startClerkServer(5);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "delete from capydb_auth.users");
		await projectSql(server, tenant, "alter table capydb_auth.users add check (id <> 'user_0000003')");
		const [first] = await night(started, 1);
		expect(first.last_stdout).toContain("capydb_auth.users has 0\nqueued a backfill");
		await jobsOf(started, 3);
		const second = await night(started, 3);
		expect(second).toHaveLength(1);
		expect(second[0].last_stdout).toContain(
			"capydb_auth.users has 4\n1 users were left out by the last backfill\nnothing is missing",
		);
	});

	it("makes dropped tables again and has them filled", async () => {
		const started = await startClerkServer(4);
		const { server, tenant } = started;
		await connect(started);
		await projectSql(server, tenant, "drop schema capydb_auth cascade");
		const [first] = await night(started, 1);
		expect(first.last_stdout).toContain("made tables or columns again that had been dropped");
		await jobsOf(started, 3);
		expect(await usersOf(server, tenant)).toBe(4);
	});

	it("ends in state error while Clerk refuses the key, and the next good night ends that", async () => {
		const started = await startClerkServer(4);
		const { clerk, server, tenant } = started;
		await connect(started);
		clerk.failNext(401);
		const [failed] = await night(started, 1);
		expect(failed).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(await getIntegration(server, tenant)).toMatchObject({
			state: "error",
			config: { last_error: failed.error },
		});
		await night(started, 2);
		expect(await getIntegration(server, tenant)).toMatchObject({
			state: "active",
			config: { last_error: null },
		});
	});

	it("is queued once an integration and night, however many replicas queue it and however often", async () => {
		const started = await startClerkServer(3);
		const { server } = started;
		await connect(started);
		const replica = await startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: "api" } });
		await Promise.all([server, replica, server, replica].map(({ ctx }) => queueReconciliations(ctx)));
		await server.advance(3_600_000);
		await queueReconciliations(replica.ctx);
		expect(await jobsOf(started, 2)).toHaveLength(2);
		const schedules = await server.sql("select cron from pgboss.schedule where name = 'users.reconcile'");
		expect(schedules).toEqual([{ cron: "23 3 * * *" }]);
	});

	it("passes over what is disabled, disconnected, or without a key to ask with", async () => {
		const started = await startClerkServer(3);
		const { server, tenant } = started;
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		const put = (body: object) => server.call("PUT", path, { key: tenant.key, body });
		const count = async () => (await server.sql("select 1 from jobs where type like '%reconcile'")).length;
		await put({});
		await queueReconciliations(server.ctx);
		expect(await count()).toBe(0);
		await connect(started);
		await put({ state: "disabled" });
		await queueReconciliations(server.ctx);
		expect(await count()).toBe(0);
		await put({ state: "active" });
		await server.call("DELETE", path, { key: tenant.key });
		await queueReconciliations(server.ctx);
		expect(await count()).toBe(0);
	});
});

describe("the instance of Clerk that is connected", () => {
	const sync = async ({ server, tenant }: ClerkServer) => {
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await server.call("POST", path, { key: tenant.key });
		return endedJob(server, tenant, body.job.id);
	};

	it("is remembered by the first backfill that can learn it", async () => {
		const started = await startClerkServer(3);
		const { clerk, server, tenant } = started;
		clerk.quirks.forgetsInstance = true;
		expect((await connect(started)).external_id).toBeNull();
		clerk.quirks.forgetsInstance = false;
		await sync(started);
		expect((await getIntegration(server, tenant)).external_id).toBe(clerk.instanceId);
	});

	it("is compared before users are read: those of another instance are not taken for gone", async () => {
		const started = await startClerkServer(3);
		const { server, tenant } = started;
		await connect(started);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		await server.call("PUT", path, { key: tenant.key, body: { external_id: "ins_other" } });
		const job = await sync(started);
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(job.error).toBe(
			"The credentials belong to ins_fake at Clerk, but ins_other is connected: connect again, or set `external_id`.",
		);
		expect(await usersOf(server, tenant)).toBe(3);
		expect((await getIntegration(server, tenant)).external_id).toBe("ins_other");
	});
});
