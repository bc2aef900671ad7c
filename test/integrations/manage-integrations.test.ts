import { describe, expect, it } from "vitest";
import { until } from "../support/until.ts";
import {
	type ClerkServer,
	connect,
	deliver,
	endedJob,
	getIntegration,
	newUser,
	projectSql,
	send,
	settledInbound,
	signingSecret,
	startClerkServer,
} from "./clerk-server.ts";

function caller({ server, tenant }: ClerkServer) {
	const base = `/v1/projects/${tenant.projectId}/integrations`;
	return (method: string, path: string, body?: unknown) =>
		server.call(method, `${base}${path}`, { key: tenant.key, ...(body === undefined ? {} : { body }) });
}

describe("PUT /v1/projects/{projectID}/integrations/{provider}", () => {
	it("makes a webhook-only integration whose schema is made by a task", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		const call = caller(started);
		const put = await call("PUT", "/clerk", { credentials: { webhook_signing_secret: signingSecret } });
		expect(put.status).toBe(200);
		expect(put.body).toEqual({
			integration: expect.objectContaining({ state: "pending", external_id: null, has_credentials: true }),
		});
		await until(async () => (await getIntegration(server, tenant)).state === "active");
		expect(await projectSql(server, tenant, "select 1 from capydb_auth.users")).toEqual([]);
		expect((await send(started, "user.created", newUser())).status).toBe(200);
		await settledInbound(server, 1);
		expect(await projectSql(server, tenant, "select 1 from capydb_auth.users")).toHaveLength(1);
		const events = await server.sql("select 1 from events where type = 'integration.connected'");
		expect(events).toHaveLength(1);
	});

	it("stays pending until there is a secret to work with", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		const call = caller(started);
		expect((await call("PUT", "/clerk", {})).body.integration).toMatchObject({
			state: "pending",
			has_credentials: false,
		});
		await until(async () => {
			const [row] = await server.sql("select status from integrations");
			return row?.status.schemaReadyAt !== undefined;
		});
		expect((await getIntegration(server, tenant)).state).toBe("pending");
		const put = await call("PUT", "/clerk", { credentials: { webhook_signing_secret: signingSecret } });
		expect(put.body.integration.state).toBe("active");
	});

	it("merges config and answers its own spelling, without touching what is absent", async () => {
		const started = await startClerkServer(0);
		const call = caller(started);
		await call("PUT", "/clerk", { config: { include_private_metadata: true, env_prefix: "APP_" } });
		const second = await call("PUT", "/clerk", { config: { redeploy: false }, external_id: "ins_mine" });
		expect(second.body.integration).toMatchObject({
			external_id: "ins_mine",
			config: { include_private_metadata: true, env_prefix: "APP_", redeploy: false },
		});
		const third = await call("PUT", "/clerk", { config: { env_prefix: null } });
		expect(third.body.integration.config).not.toHaveProperty("env_prefix");
		expect(third.body.integration.external_id).toBe("ins_mine");
		const actions = await started.server.sql(
			"select action from audit_events where action like '%integration%'",
		);
		expect(actions.map((row) => row.action)).toEqual(Array(3).fill("project.integration.upsert"));
	});

	it("takes a 400 for what it does not know, naming the field", async () => {
		const call = caller(await startClerkServer(0));
		const bodies: [unknown, RegExp][] = [
			[{ config: { colour: "red" } }, /config\.colour/],
			[{ config: { last_error: "none" } }, /config\.last_error/],
			[{ config: { preview_ttl_hours: 0 } }, /preview_ttl_hours/],
			[{ config: "x" }, /config/],
			[{ state: "error" }, /state/],
			[{ credentials: { token: "x" } }, /credentials\.token/],
			[{ credentials: { webhook_signing_secret: null } }, /Clerk makes the signing secret/],
			[{ credentials: { webhook_signing_secret: "plain" } }, /webhook_signing_secret/],
			[{ credentials: { secret_key: null } }, /secret_key/],
			[{ external_id: "" }, /external_id/],
			[{ provider: "clerk" }, /provider/],
		];
		for (const [body, named] of bodies) {
			const answer = await call("PUT", "/clerk", body);
			expect([body, answer.status]).toEqual([body, 400]);
			expect(answer.body.error).toMatch(named);
		}
		expect((await call("GET", "")).body.integrations).toEqual([]);
	});

	it("checks a secret key at Clerk before saving it", async () => {
		const started = await startClerkServer(0);
		const call = caller(started);
		const wrong = await call("PUT", "/clerk", { credentials: { secret_key: "sk_test_wrong" } });
		expect(wrong.status).toBe(400);
		expect((await call("GET", "")).body.integrations).toEqual([]);
		const right = await call("PUT", "/clerk", { credentials: { secret_key: started.clerk.secretKey } });
		expect(right.body.integration.external_id).toBe(started.clerk.instanceId);
		expect(await started.server.sql("select 1 from jobs where type like 'integration.%'")).toEqual([]);
	});

	it("replaces the signing secret at once", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		const next = `whsec_${Buffer.alloc(32, 3).toString("base64")}`;
		await caller(started)("PUT", "/clerk", { credentials: { webhook_signing_secret: next } });
		expect((await send(started, "user.created", newUser())).status).toBe(401);
		const signed = clerk.signedWebhook("user.created", newUser(), { secret: next });
		expect((await deliver(server, tenant, signed)).status).toBe(200);
	});

	it("makes one integration of many first calls at once", async () => {
		const started = await startClerkServer(0);
		const call = caller(started);
		const answers = await Promise.all(Array.from({ length: 10 }, () => call("PUT", "/clerk", {})));
		expect(answers.map((answer) => answer.status)).toEqual(Array(10).fill(200));
		expect(new Set(answers.map((answer) => answer.body.integration.id)).size).toBe(1);
	});
});

describe("paths of providers", () => {
	it("are 404 for a provider that this server does not know", async () => {
		const call = caller(await startClerkServer(0));
		for (const provider of ["heroku", "okta", "Clerk", "__proto__"]) {
			expect((await call("PUT", `/${provider}`, { nonsense: true })).status).toBe(404);
			expect((await call("DELETE", `/${provider}`)).status).toBe(404);
			expect((await call("POST", `/${provider}/sync`)).status).toBe(404);
			expect((await call("GET", `/${provider}/resources`)).status).toBe(404);
			expect((await call("GET", `/${provider}/events`)).status).toBe(404);
		}
	});

	it("are 404 while the project has no such integration", async () => {
		const call = caller(await startClerkServer(0));
		expect((await call("DELETE", "/clerk")).status).toBe(404);
		expect((await call("POST", "/clerk/sync")).status).toBe(404);
		expect((await call("GET", "/clerk/resources")).status).toBe(404);
		expect((await call("GET", "/clerk/events")).status).toBe(404);
	});

	it("ask for projects:write to change and projects:read to read", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const { body } = await server.call("POST", `/v1/organizations/${tenant.organizationId}/api-keys`, {
			key: tenant.key,
			body: { name: "reader", scopes: ["projects:read"] },
		});
		const call = caller({ ...started, tenant: { ...tenant, key: body.plaintext_api_key } });
		expect((await call("GET", "")).status).toBe(200);
		expect((await call("GET", "/clerk/events")).status).toBe(200);
		expect((await call("PUT", "/clerk", {})).status).toBe(403);
		expect((await call("DELETE", "/clerk")).status).toBe(403);
		expect((await call("POST", "/clerk/sync")).status).toBe(403);
		expect((await call("POST", "/clerk/connect", { secret_key: "x" })).status).toBe(403);
	});

	it("answer 400 for the resources of an auth provider", async () => {
		const started = await startClerkServer(0);
		await connect(started);
		const answer = await caller(started)("GET", "/clerk/resources");
		expect(answer.status).toBe(400);
		expect(answer.body.error).toMatch(/Clerk has no resources/);
	});
});

describe("POST …/{provider}/sync", () => {
	it("answers 202 with a job, and 409 while one is queued or running", async () => {
		const started = await startClerkServer(600);
		const { server, clerk, tenant } = started;
		await connect(started);
		const held = clerk.holdPage(1);
		const call = caller(started);
		const first = await call("POST", "/clerk/sync");
		expect(first).toMatchObject({ status: 202, body: { job: { type: "integration.clerk_backfill" } } });
		expect(first.body.job.locked_resource).toMatch(/^integration:int_/);
		await held.reached;
		expect((await call("POST", "/clerk/sync")).status).toBe(409);
		held.release();
		await endedJob(server, tenant, first.body.job.id);
		const many = await Promise.all(Array.from({ length: 5 }, () => call("POST", "/clerk/sync")));
		expect(many.map((answer) => answer.status).sort()).toEqual([202, 409, 409, 409, 409]);
	});

	it("answers 400 without a secret key", async () => {
		const started = await startClerkServer(0);
		const call = caller(started);
		await call("PUT", "/clerk", { credentials: { webhook_signing_secret: signingSecret } });
		const answer = await call("POST", "/clerk/sync");
		expect(answer.status).toBe(400);
		expect(answer.body.error).toMatch(/`secret_key`/);
	});
});

describe("DELETE …/{provider}", () => {
	it("takes the integration out at once, erases its secrets, and keeps the users", async () => {
		const started = await startClerkServer(7);
		const { server, tenant } = started;
		await connect(started);
		const call = caller(started);
		expect(await call("DELETE", "/clerk")).toMatchObject({ status: 200, body: { deleted: true } });
		expect((await call("GET", "")).body.integrations).toEqual([]);
		expect((await call("DELETE", "/clerk")).status).toBe(404);
		expect((await send(started, "user.created", newUser())).status).toBe(404);
		await until(async () => (await server.sql("select 1 from integrations")).length === 0);
		const [job] = await server.sql(
			"select state, project_id from jobs where type = 'integration.disconnect'",
		);
		expect(job?.state).toBe("completed");
		const [event] = await server.sql("select payload from events where type = 'integration.disconnected'");
		expect(JSON.parse(event?.payload).data.integration).toMatchObject({
			provider: "clerk",
			has_credentials: false,
		});
		expect(await projectSql(server, tenant, "select 1 from capydb_auth.users")).toHaveLength(7);
		const again = await connect(started);
		expect(again.state).toBe("active");
	});

	it("stops a backfill that runs", async () => {
		const started = await startClerkServer(1_600);
		const { server, clerk, tenant } = started;
		await connect(started);
		const held = clerk.holdPage(2);
		const call = caller(started);
		const { body } = await call("POST", "/clerk/sync");
		await held.reached;
		await call("DELETE", "/clerk");
		held.release();
		const job = await endedJob(server, tenant, body.job.id);
		expect(job).toMatchObject({ state: "failed", error: "The integration was disconnected." });
		expect(await server.sql("select 1 from events where type = 'integration.error'")).toEqual([]);
		await until(async () => (await server.sql("select 1 from integrations")).length === 0);
	});

	it("happens to all integrations of a project that is deleted", async () => {
		const started = await startClerkServer(3);
		const { server, tenant } = started;
		await connect(started);
		const { body, status } = await server.call("DELETE", `/v1/projects/${tenant.projectId}`, {
			key: tenant.key,
		});
		expect(status).toBe(202);
		await endedJob(server, tenant, body.job.id);
		await until(async () => (await server.sql("select 1 from integrations")).length === 0);
		expect((await send(started, "user.created", newUser())).status).toBe(404);
	});
});
