import { describe, expect, it } from "vitest";
import { generateAuth0User } from "../fixtures/auth0/users.ts";
import { apiLogEntry, auth0User, logEntry, streamEvent } from "../fixtures/auth0/webhooks.ts";
import { until } from "../support/until.ts";
import { connect, post, put, startAuth0Server } from "./auth0-server.ts";
import { getIntegration, projectSql, settledInbound, userEvents } from "./clerk-server.ts";

const hour = 3_600_000;
const usersSql =
	"select id, email, first_name, last_name, username, deleted_at from capydb_auth.users order by id";

describe("POST /v1/integrations/auth0/webhook/{projectID}", () => {
	it("takes Event Streams: the user is mirrored, announced, updated and deleted; the test event is stored", async () => {
		const started = await startAuth0Server({ users: 0 });
		const { server, tenant } = started;
		const secret = await connect(started);
		const changed = { given_name: "Cat", updated_at: "2026-02-07T10:00:00.000Z" };
		const sent = [
			streamEvent("user.created"),
			streamEvent("user.created", auth0User({ user_id: "auth0|test" }), { id: "evt_t", a0purpose: "test" }),
			streamEvent("user.updated", auth0User(changed), { id: "evt_2" }),
			streamEvent("user.deleted", auth0User({ deleted_at: "2026-02-08T10:00:00.000Z" }), { id: "evt_3" }),
			streamEvent("organization.created", { id: "org_1" }, { id: "evt_4" }),
		];
		for (const [at, event] of sent.entries()) {
			// With and without Bearer, and again: at least once is what Auth0 promises.
			const answer = await post(started, at % 2 === 0 ? `Bearer ${secret}` : secret, event);
			expect(answer).toMatchObject({ status: 200, body: { received: true } });
			expect((await post(started, secret, event)).status).toBe(200);
			await settledInbound(server, at + 1);
		}
		const inbound = await settledInbound(server, sent.length);
		expect(inbound.map(({ type, state }) => `${type} ${state}`)).toEqual([
			"user.created processed",
			"user.created ignored",
			"user.updated processed",
			"user.deleted processed",
			"organization.created ignored",
		]);
		expect(await projectSql(server, tenant, usersSql)).toEqual([
			expect.objectContaining({
				email: "kits@example.com",
				first_name: "Cat",
				deleted_at: new Date("2026-02-08T10:00:00.000Z"),
			}),
		]);
		const events = await userEvents(server, tenant);
		expect(events.map(({ type }) => type)).toEqual(["user.created", "user.updated", "user.deleted"]);
		expect(events[0].data).toMatchObject({ provider: "auth0", user_id: auth0User().user_id });
	});

	it("takes what an Action posts, in both spellings, once for the same content", async () => {
		const started = await startAuth0Server({ users: 0 });
		const secret = await connect(started);
		const first = { event: "user.created", user: auth0User() };
		const second = { type: "user.created", data: auth0User({ user_id: "auth0|other" }) };
		for (const body of [first, first, second]) expect((await post(started, secret, body)).status).toBe(200);
		expect(await settledInbound(started.server, 2)).toHaveLength(2);
		expect(await projectSql(started.server, started.tenant, usersSql)).toHaveLength(2);
	});

	it.each([
		["an array", (entries: object[]) => [JSON.stringify(entries)]],
		["lines", (entries: object[]) => [entries.map((entry) => JSON.stringify(entry)).join("\n")]],
		["single entries", (entries: object[]) => entries.map((entry) => JSON.stringify(entry))],
	])("takes a Log Stream as %s, each entry once, and fetches the users that they name", async (_, write) => {
		const started = await startAuth0Server({ users: [generateAuth0User(1), generateAuth0User(2)] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		const { user_id: one } = generateAuth0User(1);
		const { user_id: two } = generateAuth0User(2);
		const entries = [
			logEntry("ss", { user_id: one }),
			logEntry("sce", { user_id: one }),
			apiLogEntry("patch", `/api/v2/users/${encodeURIComponent(two)}`),
			logEntry("s", { user_id: "auth0|signed-in" }),
			logEntry("sv", { user_id: "auth0|gone" }),
		];
		const bodies = write(entries);
		for (const body of [...bodies, ...bodies]) expect((await post(started, secret, body)).status).toBe(200);
		const inbound = await settledInbound(server, entries.length);
		expect(inbound).toHaveLength(entries.length);
		const rows = await projectSql(server, tenant, usersSql);
		expect(rows.map(({ id, email }) => [id, email])).toEqual([
			[one, "member1@example.com"],
			[two, "member2@example.com"],
		]);
		expect(inbound.find(({ type }) => type === "log.sv")).toMatchObject({
			state: "ignored",
			error: "The event holds only the user's id, and Auth0 knows no such user any more.",
		});
		expect((await userEvents(server, tenant)).map(({ type }) => type)).toEqual([
			"user.created",
			"user.created",
		]);
	});

	it("takes what an Action posts with an id alone as a hint to fetch the user, and empties no row", async () => {
		const started = await startAuth0Server({ users: [generateAuth0User(1)] });
		const { server, auth0, tenant } = started;
		const { user_id } = generateAuth0User(1);
		const secret = await connect(started, { credentials: auth0.credentials });
		await post(started, secret, { event: "user.updated", user: { user_id } });
		await settledInbound(server, 1);
		const fetched = await projectSql(server, tenant, usersSql);
		expect(fetched).toMatchObject([{ id: user_id, email: "member1@example.com" }]);
		await post(started, secret, { type: "user.updated", data: { user_id: "auth0|none", email: null } });
		const inbound = await settledInbound(server, 2);
		expect(inbound.map(({ state }) => state).toSorted()).toEqual(["ignored", "processed"]);
		expect(await projectSql(server, tenant, usersSql)).toEqual(fetched);
	});

	it("deletes by a log entry without asking, and keeps the user's row", async () => {
		const started = await startAuth0Server({ users: 0 });
		const secret = await connect(started);
		await post(started, secret, streamEvent("user.created"));
		await post(started, secret, [logEntry("sdu", { date: "2026-02-09T10:00:00.000Z" })]);
		await settledInbound(started.server, 2);
		const [row] = await projectSql(started.server, started.tenant, usersSql);
		expect(row).toMatchObject({
			email: "kits@example.com",
			deleted_at: new Date("2026-02-09T10:00:00.000Z"),
		});
	});

	it("records an entry with only an id as such without credentials; a replay fetches the user with them", async () => {
		const started = await startAuth0Server({ users: [generateAuth0User(1)] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started);
		await post(started, secret, [logEntry("ss", { user_id: generateAuth0User(1).user_id })]);
		const [inbound] = await settledInbound(server, 1);
		expect(inbound).toMatchObject({
			state: "ignored",
			error: "The event holds only the user's id, and there are no credentials to read the user with.",
		});
		expect(await put(started, { credentials: auth0.credentials })).toMatchObject({ status: 200 });
		const path = `/v1/projects/${tenant.projectId}/integrations/auth0/events`;
		const { body } = await server.call("GET", path, { key: tenant.key });
		await server.call("POST", `${path}/${body.events[0].id}/replay`, { key: tenant.key });
		await settledInbound(server, 1);
		expect(await projectSql(server, tenant, usersSql)).toHaveLength(1);
	});

	it("lets an entry wait while Auth0 is down, and what came before it take effect", async () => {
		const started = await startAuth0Server({ users: [generateAuth0User(1)] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		auth0.failNext(503, 1);
		await post(started, secret, streamEvent("user.created"));
		await post(started, secret, [logEntry("ss", { user_id: generateAuth0User(1).user_id })]);
		const inbound = await settledInbound(server, 2);
		expect(inbound.map(({ state }) => state)).toEqual(["processed", "processed"]);
		expect(await projectSql(server, tenant, usersSql)).toHaveLength(2);
		expect(auth0.requests.filter(({ status }) => status === 503)).toHaveLength(1);
	});

	it("waits as long as Auth0 asks for, unless the customer changes the credentials", async () => {
		const started = await startAuth0Server({ users: [generateAuth0User(1)] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		auth0.failNext(429, 1, { "retry-after": "3600" });
		await post(started, secret, [logEntry("ss", { user_id: generateAuth0User(1).user_id })]);
		await until(async () => (await getIntegration(server, tenant)).config.last_error);
		await post(started, secret, streamEvent("user.created"));
		const [waiting] = await server.sql(
			`select count(*)::int as count from pgboss.job where name = 'inbound.apply' and state = 'created'
				and start_after > now() + interval '50 minutes'`,
		);
		expect(waiting?.count).toBe(1);
		expect(await put(started, { credentials: auth0.credentials })).toMatchObject({ status: 200 });
		await settledInbound(server, 2);
		expect(await projectSql(server, tenant, usersSql)).toHaveLength(2);
	});

	it("fails an entry whose user may not be read, without holding up what follows", async () => {
		const started = await startAuth0Server({ users: [generateAuth0User(1)] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		auth0.grantScopes([]);
		await post(started, secret, [logEntry("ss", { user_id: generateAuth0User(1).user_id })]);
		await post(started, secret, streamEvent("user.created"));
		const [failed, processed] = await settledInbound(server, 2);
		expect(failed).toMatchObject({ state: "failed", error: expect.stringContaining("read:users") });
		expect(processed).toMatchObject({ state: "processed" });
		expect(await projectSql(server, tenant, usersSql)).toHaveLength(1);
	});

	it("keeps none of what must not be stored", async () => {
		const started = await startAuth0Server({ users: [auth0User({ user_id: "auth0|fetched" })] });
		const { server, auth0, tenant } = started;
		const secret = await connect(started, { credentials: auth0.credentials });
		await post(started, secret, streamEvent("user.created"));
		await post(started, secret, [
			apiLogEntry("patch", "/api/v2/users/auth0%7Cfetched"),
			logEntry("s", { details: { password: "never-to-be-stored" } }),
		]);
		await settledInbound(server, 3);
		const [kept] = await server.sql<{ text: string }>(
			"select string_agg(document::text, '') as text from inbound_webhooks",
		);
		const raw = await projectSql(server, tenant, "select raw::text from capydb_auth.users");
		expect(raw).toHaveLength(2);
		const everything = `${kept?.text} ${JSON.stringify(raw)} ${JSON.stringify(await userEvents(server, tenant))}`;
		expect(everything).not.toMatch(/never-to-be-stored|hunter2|203\.0\.113/);
		expect(everything).not.toContain(secret);
	});
});

describe("the secret of an Auth0 integration", () => {
	it("is made and shown once when none is given, and has to be right", async () => {
		const started = await startAuth0Server({ users: 0 });
		const first = await put(started);
		const secret = first.body.plaintext_webhook_signing_secret;
		expect(secret).toMatch(/^whsec_.{43}=$/);
		expect((await put(started)).body).not.toHaveProperty("plaintext_webhook_signing_secret");
		expect((await post(started, secret, streamEvent("user.created"))).status).toBe(200);
		for (const wrong of ["x", `${secret}x`, `Basic ${secret}`, "Bearer "]) {
			const answer = await post(started, wrong, streamEvent("user.created"));
			expect(answer).toMatchObject({ status: 401, body: { code: "webhook.bad_signature" } });
		}
	});

	it("is awaited with a 503 while there is none: a 4xx would be final at Auth0", async () => {
		const started = await startAuth0Server({ users: 0 });
		const secret = await connect(started);
		await started.server.sql("update integrations set signing_secrets = null");
		const answer = await post(started, secret, streamEvent("user.created"));
		expect(answer).toMatchObject({ status: 503, body: { code: "webhook.no_secret" } });
		expect(answer.headers.get("retry-after")).toBe("30");
	});

	it("stays good for an hour after it was changed, and no longer", async () => {
		const started = await startAuth0Server({ users: 0 });
		const { server } = started;
		const first = await connect(started);
		const second = await connect(started, { credentials: { webhook_signing_secret: null } });
		await put(started, { credentials: { webhook_signing_secret: "chosen-by-hand" } });
		const statuses = async () => {
			const answers = [first, second, "chosen-by-hand"].map((secret) =>
				post(started, secret, streamEvent("user.created")),
			);
			return (await Promise.all(answers)).map(({ status }) => status);
		};
		expect(await statuses()).toEqual([200, 200, 200]);
		const { clock } = server.ctx;
		await server.advance(hour + 1000);
		await (clock as typeof clock & { sync(): Promise<void> }).sync();
		expect(await statuses()).toEqual([401, 401, 200]);
	});

	it("lets in no other tenant's events when the tenant is known, by its name or its domain", async () => {
		const started = await startAuth0Server({ users: 0 });
		const secret = await connect(started);
		const event = streamEvent("user.created");
		for (const [external_id, status] of [
			["kits-tenant", 200],
			["kits-tenant.eu.auth0.com", 200],
			["another", 401],
			["kits-tenant-2", 401],
		] as const) {
			await put(started, { external_id });
			expect([external_id, (await post(started, secret, event)).status]).toEqual([external_id, status]);
		}
		expect((await getIntegration(started.server, started.tenant)).external_id).toBe("kits-tenant-2");
	});
});
