import { describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import {
	connect,
	endedJob,
	getIntegration,
	keptProgress,
	projectSql,
	send,
	settledInbound,
	signingSecret,
	startClerkServer,
} from "./clerk-server.ts";

describe("POST /v1/projects/{projectID}/integrations/clerk/connect", () => {
	it("answers 201 with integration and job, and mirrors all 12,345 users", async () => {
		const { server, clerk, tenant } = await startClerkServer(12_345);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/connect`;
		const { status, body } = await server.call("POST", path, {
			key: tenant.key,
			body: { secret_key: clerk.secretKey, webhook_signing_secret: signingSecret },
		});
		expect(status).toBe(201);
		expect(body.integration).toMatchObject({
			provider: "clerk",
			state: "active",
			external_id: clerk.instanceId,
			has_credentials: true,
			project_id: tenant.projectId,
			organization_id: tenant.organizationId,
			config: { webhook_receiver: `${server.url}/v1/integrations/clerk/webhook/${tenant.projectId}` },
		});
		expect(body.job).toMatchObject({ type: "integration.clerk_backfill", project_id: tenant.projectId });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "completed", last_exit_code: 0 });
		expect(job.last_stdout).toBe(`validated project web (${tenant.projectId})\nbackfilled 12,345 users`);
		const [count] = await projectSql(
			server,
			tenant,
			`select count(*)::int as users, count(*) filter (where raw::text like '%private%')::int as leaks,
				count(email)::int as emails from capydb_auth.users`,
		);
		expect(count).toEqual({ users: 12_345, leaks: 0, emails: 12_345 - Math.floor(12_345 / 8) });
		const integration = await getIntegration(server, tenant);
		expect(integration.config).toMatchObject({ users_synced: 12_345, last_error: null });
		expect(integration.config.last_synced_at).toMatch(/^\d{4}-.*Z$/);
		const published = await server.sql("select type from events where type not like 'project.%'");
		const types = published.map((event) => event.type).sort();
		expect(types).toEqual(["integration.connected", "job.completed", "job.completed"]);
	});

	it("makes capydb_auth.users with exactly its documented columns", async () => {
		const started = await startClerkServer(1);
		await connect(started);
		const columns = await projectSql(
			started.server,
			started.tenant,
			`select column_name as name, data_type as type from information_schema.columns
			where table_schema = 'capydb_auth' and table_name = 'users' order by ordinal_position`,
		);
		expect(columns.map((column) => `${column.name} ${column.type}`)).toEqual([
			"id text",
			"email text",
			"first_name text",
			"last_name text",
			"username text",
			"image_url text",
			"created_at timestamp with time zone",
			"updated_at timestamp with time zone",
			"last_sign_in_at timestamp with time zone",
			"deleted_at timestamp with time zone",
			"raw jsonb",
		]);
	});

	it("saves nothing when Clerk refuses the key, and says what Clerk said", async () => {
		const { server, clerk, tenant } = await startClerkServer(1);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/connect`;
		const call = (secret_key: string) => server.call("POST", path, { key: tenant.key, body: { secret_key } });
		const refused = await call("sk_test_wrong");
		expect(refused.status).toBe(400);
		expect(refused.body.error).toMatch(/refused.*status 401.*clerk_key_invalid/);
		expect(refused.text).not.toContain("sk_test_wrong");
		clerk.failNext(503, 5);
		expect((await call(clerk.secretKey)).status).toBe(502);
		expect(await getIntegration(server, tenant)).toBeNull();
		expect(await server.sql("select 1 from jobs where type like 'integration%'")).toEqual([]);
	});

	it("keeps the integration when it is connected again, and replaces its key", async () => {
		const started = await startClerkServer(3);
		const first = await connect(started);
		const second = await connect(started);
		expect(second.id).toBe(first.id);
		const rows = await started.server.sql("select id from integrations");
		expect(rows).toHaveLength(1);
	});

	it("takes a 400 for unknown fields and malformed secrets, naming the field", async () => {
		const { server, clerk, tenant } = await startClerkServer(1);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/connect`;
		const bodies: [unknown, RegExp][] = [
			[{}, /secret_key/],
			[{ secret_key: "" }, /secret_key/],
			[{ secret_key: 7 }, /secret_key/],
			[{ secret_key: clerk.secretKey, token: "x" }, /token/],
			[{ secret_key: clerk.secretKey, webhook_signing_secret: "nonsense" }, /webhook_signing_secret/],
			[{ secret_key: "a\nb" }, /secret_key/],
			[[], /body/],
		];
		for (const [body, named] of bodies) {
			const answer = await server.call("POST", path, { key: tenant.key, body });
			expect(answer.status).toBe(400);
			expect(answer.body.error).toMatch(named);
		}
	});

	it("is not found for another tenant, and keeps tenants apart", async () => {
		const started = await startClerkServer(5);
		const { server, tenant } = started;
		const other = await server.tenant("other");
		await connect(started);
		const base = `/v1/projects/${tenant.projectId}/integrations`;
		const calls: [string, string][] = [
			["GET", base],
			["PUT", `${base}/clerk`],
			["DELETE", `${base}/clerk`],
			["POST", `${base}/clerk/connect`],
			["POST", `${base}/clerk/sync`],
			["GET", `${base}/clerk/resources`],
			["GET", `${base}/clerk/events`],
		];
		for (const [method, path] of calls) {
			expect((await server.call(method, path, { key: other.key })).status).toBe(404);
			expect((await server.call(method, path, { key: null })).status).toBe(401);
		}
		expect((await server.call("GET", `/v1/projects/${other.projectId}/integrations`)).body).toEqual({
			integrations: [],
			next_cursor: null,
		});
	});

	it("keeps no secret in clear text anywhere", async () => {
		const started = await startClerkServer(2);
		const { server, clerk } = started;
		await connect(started);
		const tables = await server.sql<{ name: string }>(
			"select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace",
		);
		for (const { name } of tables) {
			const rows = await server.sql<{ text: string }>(`select t::text as text from "${name}" t`);
			const text = rows.map((row) => row.text).join("\n");
			expect(text).not.toContain(clerk.secretKey);
			expect(text).not.toContain(signingSecret.slice(6));
		}
	});
});

describe("a backfill", () => {
	it("goes on from its last page after the process died", async () => {
		const { server, clerk, tenant } = await startClerkServer(2_600);
		const held = clerk.holdPage(4);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/connect`;
		const { body } = await server.call("POST", path, {
			key: tenant.key,
			body: { secret_key: clerk.secretKey },
		});
		await held.reached;
		await keptProgress(server, body.job.id, 1_500);
		const pages = () => clerk.requests.filter((request) => request.path === "/v1/users").length;
		expect(pages()).toBe(4);
		// What a process that was killed leaves behind: a job that runs, and a claim that nobody holds.
		await server.sql("update jobs set claim_id = gen_random_uuid() where id = $1::uuid", [
			toUuid(body.job.id),
		]);
		held.release();
		await server.ctx.tasks.send("jobs.run_long", { jobId: body.job.id }, { singletonKey: "another" });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "completed" });
		expect(job.last_stdout).toContain("went on after 1,500 users");
		expect(job.last_stdout).toContain("backfilled 2,600 users");
		// Six pages, and once more those after the third, which had been asked for ahead: not from the start.
		expect(pages()).toBeLessThanOrEqual(9);
		const fromStart = clerk.requests.filter(
			({ path: asked, query }) => asked === "/v1/users" && query.starting_after === undefined,
		);
		expect(fromStart).toHaveLength(1);
		const [count] = await projectSql(server, tenant, "select count(*)::int as users from capydb_auth.users");
		expect(count).toEqual({ users: 2_600 });
	});

	it("waits as Clerk says when it is asked to slow down", async () => {
		const { server, clerk, tenant } = await startClerkServer(10);
		const started = { server, clerk, tenant };
		await connect(started);
		clerk.rateLimitNext(1, 1);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await server.call("POST", path, { key: tenant.key });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "completed", attempts: 2 });
	});

	it("ends in state error with an event when Clerk takes the key no more", async () => {
		const { server, clerk, tenant } = await startClerkServer(10);
		await connect({ server, clerk, tenant });
		clerk.failNext(401);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await server.call("POST", path, { key: tenant.key });
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent", attempts: 1 });
		const integration = await getIntegration(server, tenant);
		expect(integration.state).toBe("error");
		expect(integration.config.last_error).toBe(job.error);
		const [event] = await server.sql("select payload from events where type = 'integration.error'");
		expect(JSON.parse(event?.payload).data).toMatchObject({
			error: job.error,
			integration: { id: integration.id, state: "error" },
		});
	});

	it("never overwrites what a webhook wrote after its page was read", async () => {
		const { server, clerk, tenant } = await startClerkServer(600);
		const started = { server, clerk, tenant };
		await connect(started);
		const held = clerk.holdPage(2);
		const { body } = await server.call("POST", `/v1/projects/${tenant.projectId}/integrations/clerk/sync`, {
			key: tenant.key,
		});
		await held.reached;
		const last = [...clerk.users.values()].at(-1);
		await send(started, "user.updated", { ...last, first_name: "Newer", updated_at: Date.now() });
		await settledInbound(server, 1);
		held.release();
		await endedJob(server, tenant, body.job.id);
		const rows = await projectSql(server, tenant, "select first_name from capydb_auth.users where id = $1", [
			last?.id,
		]);
		expect(rows).toEqual([{ first_name: "Newer" }]);
	});
});
