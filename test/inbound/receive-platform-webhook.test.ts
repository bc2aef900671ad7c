import pg from "pg";
import { describe, expect, it } from "vitest";
import type { IntegrationId, ProjectId } from "../../src/core/ids.ts";
import {
	type Connected,
	deployments,
	idle,
	published,
	startConnected,
} from "../deployments/vercel-server.ts";
import { withoutTools } from "../previews/preview-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const dayMs = 24 * 3_600_000;

function post(
	{ server, hookPath }: Connected,
	signed: { headers: Record<string, string>; body: string },
	path = hookPath,
) {
	return server.call("POST", path, { key: null, rawBody: signed.body, headers: signed.headers });
}

describe("POST /v1/integrations/vercel/webhook/{projectID}/{token}", () => {
	it("answers each fault with the status that Vercel acts on rightly, and counts it", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, hookPath, secret } = connected;
		const { event } = fake.deploy(project, { branch: "checkout" });
		const signed = fake.signedDelivery(secret, event);
		const unknown = hookPath.replace(/prj_[^/]+/, "prj_01jd0000000000000000000000");
		expect((await post(connected, signed, unknown)).status).toBe(404);
		expect((await post(connected, signed, `${hookPath}x`)).status).toBe(404);
		const wrong = fake.signedDelivery("another secret", event);
		expect((await post(connected, wrong)).status).toBe(401);
		expect((await post(connected, { ...signed, headers: {} })).status).toBe(401);
		expect((await post(connected, fake.signedDelivery(secret, { nothing: true }))).status).toBe(400);
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel/events`;
		await until(async () => {
			const { body } = await server.call("GET", path, { key: tenant.key });
			return body.rejections.total === 4;
		});
	});

	it("takes one event once, whatever id its retry carries, and leaves one older than seven days without effect", async () => {
		const connected = await startConnected();
		const { server, fake, project, secret } = connected;
		const { event } = fake.deploy(project, { branch: null });
		const again = fake.signedDelivery(secret, { ...event, id: "another-id-of-the-retry" });
		const both = await Promise.all([
			post(connected, fake.signedDelivery(secret, event)),
			post(connected, again),
		]);
		expect(both.map(({ status }) => status)).toEqual([200, 200]);
		for (const days of [6.9, 7.1]) {
			const { event: fresh } = fake.deploy(project, { branch: null });
			const old = { ...fresh, createdAt: Date.now() - days * dayMs };
			expect((await post(connected, fake.signedDelivery(secret, old))).status).toBe(200);
		}
		await idle(connected);
		const rows = await server.sql<{ state: string }>("select state from inbound_webhooks order by id");
		expect(rows.map(({ state }) => state).toSorted()).toEqual(["processed", "processed", "stale"]);
		expect(await deployments(connected)).toHaveLength(2);
	});

	it("knows an event again for thirty days, and tells of a deployment once even after that", async () => {
		const connected = await startConnected();
		const { server, fake, project, secret } = connected;
		const takeAfter = async (days: number, rows: number) => {
			await server.advance(days * dayMs);
			expect((await post(connected, signed)).status).toBe(200);
			await idle(connected);
			expect(await server.sql("select 1 from inbound_webhooks")).toHaveLength(rows);
		};
		const signed = fake.signedDelivery(secret, fake.deploy(project, { branch: null }).event);
		await takeAfter(0, 1);
		await takeAfter(29.9, 1);
		await takeAfter(0.2, 2);
		expect(await deployments(connected)).toHaveLength(1);
		expect((await published(connected)).map(({ type }) => type)).toEqual(["deployment.created"]);
	});

	it("writes what comes at the same time in few commits, and refuses alone what cannot be stored", async () => {
		const connected = await startConnected();
		const { server, fake, project, secret } = connected;
		await server.sql(`create function refuse_poison() returns trigger language plpgsql as $$ begin
			if new.document::text like '%poison%' then raise exception 'refused'; end if; return new; end $$`);
		await server.sql(
			"create trigger refuse before insert on inbound_webhooks for each row execute function refuse_poison()",
		);
		await server.sql(`create function be_slow() returns trigger language plpgsql as
			$$ begin perform pg_sleep(0.2); return null; end $$`);
		await server.sql(
			"create trigger slow after insert on inbound_webhooks for each statement execute function be_slow()",
		);
		const answers = await Promise.all(
			Array.from({ length: 60 }, (_, at) => {
				const { event } = fake.deploy(project, {
					branch: at === 40 ? "poison" : "main",
					target: "production",
				});
				return post(connected, fake.signedDelivery(secret, event));
			}),
		);
		expect(answers.map(({ status }) => status)).toEqual(
			Array.from({ length: 60 }, (_, at) => (at === 40 ? 503 : 200)),
		);
		const [stored] = await server.sql<{ rows: number; commits: number }>(
			"select count(*)::int as rows, count(distinct received_at)::int as commits from inbound_webhooks",
		);
		expect(stored?.rows).toBe(59);
		expect(stored?.commits).toBeLessThan(30);
	});

	it("answers 503 while our own database hangs, and lets the event take effect once", async () => {
		const connected = await startConnected();
		const { server, fake, project, secret } = connected;
		const signed = fake.signedDelivery(secret, fake.deploy(project, { branch: null }).event);
		const other = new pg.Client({ connectionString: server.databaseUrl });
		await other.connect();
		await other.query("begin; lock table inbound_dedup_keys in access exclusive mode");
		const answer = await post(connected, signed);
		await other.end();
		expect([answer.status, answer.body.code, answer.headers.has("retry-after")]).toEqual([
			503,
			"webhook.unavailable",
			true,
		]);
		expect((await post(connected, signed)).status).toBe(200);
		await until(async () => (await deployments(connected)).length === 1);
		expect(await server.sql("select 1 from inbound_webhooks")).toHaveLength(1);
	});

	it("answers 503 to an event that is quicker than the answer to our registration, and takes its retry", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, token } = connected;
		const other = fake.addProject({ name: "other" });
		const { event } = fake.deploy(other, { branch: null });
		fake.sendBeforeHookAnswer(event);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel/connect`;
		const body = { vercel_project_id: other.id, team_id: fake.teamId, token, preview_branches: true };
		expect((await server.call("POST", path, { key: tenant.key, body })).status).toBe(201);
		expect(fake.sent.map(({ status }) => status)).toEqual([503]);
		expect((await fake.retryFailed()).map(({ status }) => status)).toEqual([200]);
		await idle(connected);
		expect(await deployments(connected)).toHaveLength(1);
		expect(project.variables).toEqual([]);
	});

	it("answers 200 and does nothing while the integration is disabled, and 404 once it is gone", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, secret } = connected;
		const signed = fake.signedDelivery(secret, fake.deploy(project, { branch: null }).event);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		await server.call("PUT", path, { key: tenant.key, body: { state: "disabled" } });
		expect(await post(connected, signed)).toMatchObject({ status: 200, body: { received: true } });
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		await server.call("DELETE", path, { key: tenant.key });
		expect((await post(connected, signed)).status).toBe(404);
	});

	it("leaves an event of another project without effect, also when it is replayed", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, secret } = connected;
		const { event } = fake.deploy(fake.addProject({ name: "other" }), { branch: "checkout" });
		expect((await post(connected, fake.signedDelivery(secret, event))).status).toBe(200);
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel/events`;
		const events = async () => (await server.call("GET", path, { key: tenant.key })).body.events;
		const [ignored] = await events();
		expect(ignored).toMatchObject({ state: "ignored", processed_at: null });
		const replay = await server.call("POST", `${path}/${ignored.id}/replay`, { key: tenant.key });
		expect(replay.status).toBe(202);
		await until(async () => (await events())[0].processed_at !== null);
		expect(await events()).toMatchObject([{ state: "ignored" }]);
		expect(await deployments(connected)).toEqual([]);
	});

	it("judges by the integration as it is at that moment, also when another replica has just changed it", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, secret, token } = connected;
		const replica = await startTestServer({
			databaseUrl: server.databaseUrl,
			env: { ...withoutTools, VERCEL_API_URL: fake.origin },
		});
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		const change = (method: string, at: string, body: Record<string, unknown>) =>
			replica.call(method, `${path}${at}`, { key: tenant.key, body });
		const signed = (by = secret) => fake.signedDelivery(by, fake.deploy(project, { branch: null }).event);
		const stored = async () => (await server.sql("select 1 from inbound_webhooks")).length;
		expect((await post(connected, signed())).status).toBe(200);
		await change("PUT", "", { state: "disabled" });
		const later = signed();
		expect((await post(connected, later)).status).toBe(200);
		expect(await stored()).toBe(1);
		await change("PUT", "", { state: "active" });
		expect((await post(connected, later)).status).toBe(200);
		expect(await stored()).toBe(2);
		const [hook] = [...fake.hooks.values()];
		fake.dropHook(hook?.id ?? "");
		const target = { vercel_project_id: project.id, team_id: fake.teamId, token, preview_branches: true };
		expect((await change("POST", "/connect", target)).status).toBe(201);
		const made = await until(() => [...fake.hooks.values()][0]);
		const { pathname } = new URL(made.url);
		expect((await post(connected, signed(made.secret), pathname)).status).toBe(200);
		expect((await post(connected, signed())).status).toBe(404);
		expect((await post(connected, signed(), pathname)).status).toBe(401);
		expect(await stored()).toBe(3);
		await replica.call("DELETE", path, { key: tenant.key });
		expect((await post(connected, signed(made.secret), pathname)).status).toBe(404);
		expect(await stored()).toBe(3);
	});

	it("heeds the last of two changes that began together, also when the integration was read between them", async () => {
		const connected = await startConnected();
		const { server, fake, tenant, project, secret } = connected;
		const path = `/v1/projects/${tenant.projectId}/integrations/vercel`;
		const projectId = tenant.projectId as ProjectId;
		const integration = await server.ctx.stores.integrations.findByProvider(projectId, "vercel");
		const signed = () => fake.signedDelivery(secret, fake.deploy(project, { branch: null }).event);
		const stored = async () => (await server.sql("select 1 from inbound_webhooks")).length;
		await server.ctx.transaction(async ({ stores }) => {
			await server.call("PUT", path, { key: tenant.key, body: { state: "active" } });
			expect((await post(connected, signed())).status).toBe(200);
			await stores.integrations.update(integration?.id as IntegrationId, { state: "disabled" });
		});
		expect((await post(connected, signed())).status).toBe(200);
		expect(await stored()).toBe(1);
	});
});
