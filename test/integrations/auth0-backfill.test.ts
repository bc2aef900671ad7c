import { describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { generateAuth0User } from "../fixtures/auth0/users.ts";
import { streamEvent } from "../fixtures/auth0/webhooks.ts";
import { until } from "../support/until.ts";
import { type Auth0Server, connect, post, put, startAuth0Server } from "./auth0-server.ts";
import { endedJob, getIntegration, projectSql, settledInbound, userEvents } from "./clerk-server.ts";

function sync({ server, tenant }: Auth0Server) {
	const path = `/v1/projects/${tenant.projectId}/integrations/auth0/sync`;
	return server.call("POST", path, { key: tenant.key });
}

describe("PUT /v1/projects/{projectID}/integrations/auth0", () => {
	it("checks credentials at Auth0 before it saves them, and learns the tenant's name", async () => {
		const started = await startAuth0Server({ users: 1 });
		const { auth0 } = started;
		const refused = await put(started, { credentials: { ...auth0.credentials, client_secret: "wrong" } });
		expect(refused).toMatchObject({ status: 400, body: { code: "provider.unauthorized" } });
		expect(refused.text).not.toContain("wrong");
		expect(await getIntegration(started.server, started.tenant)).toBeNull();
		const saved = await put(started, { credentials: auth0.credentials });
		expect(saved).toMatchObject({ status: 200, body: { integration: { external_id: "kits-tenant" } } });
		expect(saved.text).not.toContain(auth0.credentials.client_secret);
	});

	it.each(["localhost", "auth0.internal", "10.0.0.1", "https://acme.eu.auth0.com", "acme.eu.auth0.com:8443"])(
		"refuses the domain %s with a 400, and calls nobody",
		async (domain) => {
			const started = await startAuth0Server({ users: 0 });
			const answer = await put(started, { credentials: { ...started.auth0.credentials, domain } });
			expect(answer).toMatchObject({ status: 400, body: { code: "provider.invalid_request" } });
			expect(answer.body.error).toMatch(/`credentials\.domain`|not allowed/);
			expect(started.auth0.requests).toEqual([]);
		},
	);

	it("answers 502 while Auth0 is down", async () => {
		const started = await startAuth0Server({ users: 0 });
		started.auth0.failNext(503);
		expect((await put(started, { credentials: started.auth0.credentials })).status).toBe(502);
	});
});

describe("POST …/auth0/sync", () => {
	it("answers 400 without credentials, and names them", async () => {
		const started = await startAuth0Server({ users: 1 });
		await connect(started);
		const answer = await sync(started);
		expect(answer).toMatchObject({ status: 400, body: { code: "integration.no_credentials" } });
		expect(answer.body.error).toContain("`domain`, `client_id`, `client_secret`");
	});

	it("mirrors all 2,345 users, more than one search of Auth0 gives, and announces none", async () => {
		const started = await startAuth0Server({ users: 2_345 });
		const { server, tenant, auth0 } = started;
		await connect(started, { credentials: auth0.credentials });
		const { status, body } = await sync(started);
		expect([status, body.job.type]).toEqual([202, "integration.auth0_backfill"]);
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "completed" });
		expect(job.last_stdout).toContain("backfilled 2,345 users");
		const [counted] = await projectSql(server, tenant, "select count(*)::int as n from capydb_auth.users");
		expect(counted).toEqual({ n: 2_345 });
		const { config } = await getIntegration(server, tenant);
		expect(config).toMatchObject({ users_synced: 2_345, last_error: null });
		expect(await userEvents(server, tenant)).toEqual([]);
	});

	it("keeps to Auth0's limit without spending the job's attempts", async () => {
		const started = await startAuth0Server({ users: 950, ratePerSecond: 2 });
		const { server, tenant, auth0 } = started;
		await connect(started, { credentials: auth0.credentials });
		const job = await endedJob(server, tenant, (await sync(started)).body.job.id);
		expect(job).toMatchObject({ state: "completed", attempts: 1 });
		expect(job.last_stdout).toContain("backfilled 950 users");
	});

	it("waits as Auth0 says when it is refused for longer than a call waits", async () => {
		const started = await startAuth0Server({ users: 150 });
		const { server, tenant, auth0 } = started;
		await connect(started, { credentials: auth0.credentials });
		auth0.failNext(429, 1, { "retry-after": "90" });
		const { body } = await sync(started);
		const waiting = await until(async () => {
			const answer = await server.call("GET", `/v1/jobs/${body.job.id}`, { key: tenant.key });
			return answer.body.job.retry_classification === null ? null : answer.body.job;
		});
		expect(waiting).toMatchObject({ state: "pending", retry_classification: "rate_limited", attempts: 1 });
		const [task] = await server.sql<{ wait: number }>(
			`select extract(epoch from max(start_after) - now())::float8 as wait from pgboss.job
			where name = 'jobs.run_long' and data ->> 'jobId' = $1 and state = 'created'`,
			[body.job.id],
		);
		expect(task?.wait).toBeGreaterThan(60);
		await server.ctx.tasks.send("jobs.run_long", { jobId: body.job.id }, { singletonKey: "another" });
		expect(await endedJob(server, tenant, body.job.id)).toMatchObject({ state: "completed", attempts: 2 });
	});

	it("goes on from its last page after the process died", async () => {
		const started = await startAuth0Server({ users: 450 });
		const { server, tenant, auth0 } = started;
		await connect(started, { credentials: auth0.credentials });
		const hold = auth0.holdPage(4);
		const { body } = await sync(started);
		await hold.reached;
		// While the fourth page is asked for the third is written.
		await until(async () => {
			const [job] = await server.sql("select 1 from jobs where progress ->> 'count' = '298'");
			return job !== undefined;
		});
		// What a process that was killed leaves behind: a job that runs, and a claim that nobody holds.
		await server.sql("update jobs set claim_id = gen_random_uuid() where id = $1::uuid", [
			toUuid(body.job.id),
		]);
		hold.release();
		await server.ctx.tasks.send("jobs.run_long", { jobId: body.job.id }, { singletonKey: "another" });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "completed" });
		expect(job.last_stdout).toContain("went on after 298 users");
		expect(job.last_stdout).toContain("backfilled 450 users");
		const [counted] = await projectSql(server, tenant, "select count(*)::int as n from capydb_auth.users");
		expect(counted).toEqual({ n: 450 });
	});

	it("never overwrites what a webhook wrote after its page was read", async () => {
		const started = await startAuth0Server({ users: 3 });
		const { server, tenant, auth0 } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		const newer = generateAuth0User(1, { given_name: "Newer", updated_at: "2026-06-01T00:00:00.000Z" });
		const hold = auth0.holdPage(1);
		const { body } = await sync(started);
		await hold.reached;
		await post(started, secret, streamEvent("user.updated", newer));
		await settledInbound(server, 1);
		hold.release();
		await endedJob(server, tenant, body.job.id);
		const rows = await projectSql(server, tenant, "select first_name from capydb_auth.users order by id");
		expect(rows.map((row) => row.first_name)).toEqual(["Kit", "Newer", "Kit"]);
	});

	it("soft-deletes whom Auth0 no longer has, but none whom its search may not know yet", async () => {
		const started = await startAuth0Server({ users: 5 });
		const { server, tenant, auth0 } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		const backfill = async () => endedJob(server, tenant, (await sync(started)).body.job.id);
		await backfill();
		auth0.users.delete(generateAuth0User(2).user_id);
		await projectSql(
			server,
			tenant,
			"update capydb_auth.sync_state set written_at = written_at - interval '1 hour'",
		);
		await post(started, secret, streamEvent("user.created", generateAuth0User(77)));
		await settledInbound(server, 1);
		expect((await backfill()).last_stdout).toContain("soft-deleted 1 users that Auth0 no longer has");
		const gone = "select id from capydb_auth.users where deleted_at is not null";
		expect(await projectSql(server, tenant, gone)).toEqual([{ id: generateAuth0User(2).user_id }]);
	});

	it("ends in state error with an event when Auth0 takes the client no more", async () => {
		const started = await startAuth0Server({ users: 3 });
		const { server, tenant, auth0 } = started;
		await connect(started, { credentials: auth0.credentials });
		auth0.grantScopes([]);
		const job = await endedJob(server, tenant, (await sync(started)).body.job.id);
		expect(job).toMatchObject({ state: "failed", attempts: 1, retry_classification: "permanent" });
		const integration = await getIntegration(server, tenant);
		expect(integration.state).toBe("error");
		expect(integration.config.last_error).toContain("read:users");
	});
});
