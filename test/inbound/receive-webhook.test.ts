import { describe, expect, it } from "vitest";
import {
	connect,
	deliver,
	getIntegration,
	newUser,
	projectSql,
	receiverPath,
	send,
	settledInbound,
	signingSecret,
	startClerkServer,
	userEvents,
} from "../integrations/clerk-server.ts";
import { until } from "../support/until.ts";

const minute = 60_000;

describe("POST /v1/integrations/clerk/webhook/{projectID}", () => {
	it("answers {received: true}, mirrors the user and announces it", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const user = newUser();
		const answer = await send(started, "user.created", user);
		expect(answer).toMatchObject({ status: 200, body: { received: true } });
		await settledInbound(server, 1);
		const [row] = await projectSql(server, tenant, "select * from capydb_auth.users");
		expect(row).toMatchObject({
			id: user.id,
			email: `${user.id}@example.com`,
			first_name: "Ada",
			deleted_at: null,
		});
		const [event, ...more] = await userEvents(server, tenant);
		expect(more).toEqual([]);
		expect(event).toMatchObject({
			type: "user.created",
			data: {
				provider: "clerk",
				user_id: user.id,
				project_id: tenant.projectId,
				user: { id: user.id, email: `${user.id}@example.com`, created_at: "2025-10-09T08:53:20.000Z" },
			},
		});
		const { config } = await getIntegration(server, tenant);
		expect(config.last_event_at).toMatch(/^\d{4}-.*Z$/);
	});

	it("takes the same svix-id twenty times at once with one effect and one event", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		const signed = clerk.signedWebhook("user.created", newUser(), { secret: signingSecret });
		const answers = await Promise.all(Array.from({ length: 20 }, () => deliver(server, tenant, signed)));
		expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
		expect(await settledInbound(server, 1)).toHaveLength(1);
		expect((await deliver(server, tenant, signed)).status).toBe(200);
		expect(await settledInbound(server, 1)).toHaveLength(1);
		expect(await userEvents(server, tenant)).toHaveLength(1);
	});

	it("refuses a missing, wrong, altered or old signature with 401 and stores only the rejection", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		const user = newUser();
		const signed = clerk.signedWebhook("user.created", user, { secret: signingSecret });
		const refused = [
			{ headers: { "content-type": "application/json" }, body: signed.body },
			clerk.signedWebhook("user.created", user, { secret: "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }),
			{ headers: signed.headers, body: signed.body.replace("Ada", "Eve") },
			clerk.signedWebhook("user.created", user, {
				secret: signingSecret,
				at: new Date(Date.now() - 6 * minute),
			}),
			clerk.signedWebhook("user.created", user, {
				secret: signingSecret,
				at: new Date(Date.now() + 6 * minute),
			}),
		];
		for (const delivery of refused) {
			const answer = await deliver(server, tenant, delivery);
			expect(answer.status).toBe(401);
			expect(typeof answer.body.error).toBe("string");
		}
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/events`;
		const body = await until(async () => {
			const answer = await server.call("GET", path, { key: tenant.key });
			return answer.body.rejections.total === 5 ? answer.body : null;
		});
		expect(body.events).toEqual([]);
		const reasons = body.rejections.recent.map((rejection: { reason: string }) => rejection.reason);
		expect(reasons).toEqual([
			"webhook.stale",
			"webhook.stale",
			"webhook.bad_signature",
			"webhook.bad_signature",
			"webhook.missing_signature",
		]);
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		const users = await projectSql(server, tenant, "select 1 from capydb_auth.users");
		expect(users).toEqual([]);
	});

	it("keeps the last hundred rejections and counts them all", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const refused = { headers: { "content-type": "application/json" }, body: "{}" };
		for (let round = 0; round < 3; round++) {
			await Promise.all(Array.from({ length: 45 }, () => deliver(server, tenant, refused)));
			await until(async () => {
				const [row] = await server.sql("select total from inbound_rejections");
				return Number(row?.total) === (round + 1) * 45;
			});
		}
		const [row] = await server.sql(
			"select total::int, jsonb_array_length(recent) as kept from inbound_rejections",
		);
		expect(row).toEqual({ total: 135, kept: 100 });
	});

	it("answers 404 for an unknown project and for one without the integration, 401 without a secret", async () => {
		const { server, clerk, tenant } = await startClerkServer(0);
		const signed = clerk.signedWebhook("user.created", newUser(), { secret: signingSecret });
		const unknown = ["prj_01jd0000000000000000000000", "nonsense", "%00", "org_01jd0000000000000000000000"];
		for (const projectId of unknown) {
			expect((await deliver(server, { ...tenant, projectId }, signed)).status).toBe(404);
		}
		expect((await deliver(server, tenant, signed)).status).toBe(404);
		expect(await server.sql("select 1 from inbound_rejections")).toEqual([]);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		await server.call("PUT", path, {
			key: tenant.key,
			body: { credentials: { secret_key: clerk.secretKey } },
		});
		expect((await deliver(server, tenant, signed)).status).toBe(401);
	});

	it("refuses a genuine signature over a body that Clerk would not send with 400", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const { Webhook } = await import("svix");
		const bodies = [
			"",
			"[]",
			"null",
			"{",
			'{"type":"user.created"}',
			'{"type":7,"data":{}}',
			"\u0000",
			'"x"',
		];
		for (const [index, body] of bodies.entries()) {
			const at = new Date();
			const id = `msg_hostile_${index}`;
			const headers = {
				"svix-id": id,
				"svix-timestamp": String(Math.floor(at.getTime() / 1000)),
				"svix-signature": new Webhook(signingSecret).sign(id, at, body),
			};
			expect([body, (await deliver(server, tenant, { headers, body })).status]).toEqual([body, 400]);
		}
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
	});

	it("refuses a body above 5 MiB with 413 and takes one below", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const large = await send(started, "user.created", newUser({ filler: "x".repeat(6 * 1024 * 1024) }));
		expect(large.status).toBe(413);
		const fits = await send(started, "user.created", newUser({ filler: "x".repeat(4 * 1024 * 1024) }));
		expect(fits.status).toBe(200);
		expect(await settledInbound(server, 1)).toMatchObject([{ state: "processed" }]);
		const [event] = await userEvents(server, tenant);
		expect(event.data.user.raw).toBeNull();
	});

	it("stores and acknowledges types that it does not know", async () => {
		const started = await startClerkServer(0);
		await connect(started);
		expect((await send(started, "session.created", { id: "sess_1", user_id: "user_1" })).status).toBe(200);
		expect((await send(started, "something.entirely.new", { a: [1, { b: null }] })).status).toBe(200);
		expect((await send(started, "user.created", { object: "user" })).status).toBe(200);
		const rows = await settledInbound(started.server, 3);
		expect(rows.map((row) => row.state)).toEqual(["ignored", "ignored", "ignored"]);
	});

	it("refuses a webhook of another Clerk instance", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const { signedWebhook } = await import("../fakes/clerk.ts");
		const foreign = signedWebhook("ins_another", "user.created", newUser(), { secret: signingSecret });
		expect((await deliver(server, tenant, foreign)).status).toBe(401);
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
	});

	it("answers 200 and does nothing while the integration is disabled", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		const { body } = await server.call("PUT", path, { key: tenant.key, body: { state: "disabled" } });
		expect(body.integration.state).toBe("disabled");
		const answer = await server.call("POST", receiverPath(tenant), { key: null, rawBody: "{}" });
		expect(answer).toMatchObject({ status: 200, body: { received: true } });
		expect((await send(started, "user.created", newUser())).status).toBe(200);
		expect(await server.sql("select 1 from inbound_webhooks")).toEqual([]);
		const again = await server.call("PUT", path, { key: tenant.key, body: { state: "active" } });
		expect(again.body.integration.state).toBe("active");
		await send(started, "user.created", newUser());
		await settledInbound(server, 1);
		expect(await userEvents(server, tenant)).toHaveLength(1);
	});

	it("keeps two tenants' webhooks apart", async () => {
		const started = await startClerkServer(0);
		const { server, clerk, tenant } = started;
		await connect(started);
		const other = await server.tenant("other");
		const otherSecret = `whsec_${Buffer.alloc(32, 9).toString("base64")}`;
		await server.call("POST", `/v1/projects/${other.projectId}/integrations/clerk/connect`, {
			key: other.key,
			body: { secret_key: clerk.secretKey, webhook_signing_secret: otherSecret },
		});
		const signed = clerk.signedWebhook("user.created", newUser(), { secret: signingSecret });
		expect((await deliver(server, other, signed)).status).toBe(401);
		// One svix-id at two projects is two events.
		const id = "msg_same_everywhere";
		await deliver(
			server,
			tenant,
			clerk.signedWebhook("user.created", newUser(), { secret: signingSecret, id }),
		);
		await deliver(server, other, clerk.signedWebhook("user.created", newUser(), { secret: otherSecret, id }));
		await settledInbound(server, 2);
		expect(await userEvents(server, tenant)).toHaveLength(1);
		expect(await userEvents(server, other)).toHaveLength(1);
	});

	it("never stores private metadata or tokens, unless asked to", async () => {
		const started = await startClerkServer(0);
		const { server, tenant } = started;
		await connect(started);
		const secrets = /never-to-be-stored|oauth-token-value/;
		const user = newUser({ external_accounts: [{ id: "eac_1", access_token: "oauth-token-value" }] });
		await send(started, "user.created", user);
		await settledInbound(server, 1);
		for (const table of [
			"inbound_webhooks",
			"events",
			"deliveries",
			"jobs",
			"integrations",
			"audit_events",
		]) {
			const rows = await server.sql(`select t::text as text from ${table} t`);
			expect(rows.map((row) => row.text).join("\n")).not.toMatch(secrets);
		}
		const everything = "select u::text || s::text as text from capydb_auth.users u, capydb_auth.sync_state s";
		expect(JSON.stringify(await projectSql(server, tenant, everything))).not.toMatch(secrets);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk`;
		const config = { include_private_metadata: true };
		await server.call("PUT", path, { key: tenant.key, body: { config } });
		await send(started, "user.updated", { ...user, updated_at: user.updated_at + 1 });
		await settledInbound(server, 2);
		const stored = JSON.stringify(await projectSql(server, tenant, everything));
		expect(stored).toContain("never-to-be-stored");
		expect(stored).not.toContain("oauth-token-value");
	});
});
