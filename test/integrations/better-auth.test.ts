import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
	pluginDeliveries,
	signedSimply,
	signedStandard,
	simpleDeliveries,
} from "../fixtures/better-auth/webhooks.ts";
import { type ReplyRule, startReceiver } from "../support/receiver.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { startBetterAuthApp } from "./better-auth-app.ts";
import { endedJob, getIntegration, projectSql, settledInbound, userEvents } from "./clerk-server.ts";

type Site = { tenant: Tenant; webhookUrl: string; secret: string };

let server: TestServer;
beforeAll(async () => {
	server = await startTestServer();
});
afterAll(() => server.close());

/** A project that is ready to hear of Better Auth's users. */
async function newSite(): Promise<Site> {
	const tenant = await server.tenant();
	const { body } = await put(tenant, {});
	await until(async () => (await getIntegration(server, tenant)).state === "active");
	const { webhook_receiver: webhookUrl } = body.integration.config;
	return { tenant, webhookUrl, secret: body.plaintext_webhook_signing_secret };
}

function put(tenant: Tenant, body: object, pathName = "better-auth") {
	const path = `/v1/projects/${tenant.projectId}/integrations/${pathName}`;
	return server.call("PUT", path, { key: tenant.key, body });
}

function sync({ projectId, key }: Tenant) {
	return server.call("POST", `/v1/projects/${projectId}/integrations/better-auth/sync`, { key });
}

function users({ tenant }: Site) {
	return projectSql(server, tenant, "select * from capydb_auth.users order by created_at, id");
}

function untilUser(site: Site, holds: (user: Record<string, unknown>) => boolean) {
	return until(async () => (await users(site)).find(holds), { what: holds.toString() });
}

function deliver({ webhookUrl }: Site, { body, headers }: { body: string; headers: Record<string, string> }) {
	return server.call("POST", new URL(webhookUrl).pathname, { key: null, rawBody: body, headers });
}

describe("the users of a Better Auth application with our plugin", () => {
	it("are rows from their sign-up on, follow each change, and stay as deleted ones", async () => {
		const site = await newSite();
		const app = await startBetterAuthApp(site);
		const { id, cookie } = await app.signUp({
			name: "Ada Brandt",
			email: "Ada@Example.com",
			apiToken: "never-to-be-sent",
		});
		const created = await untilUser(site, (user) => user.id === id);
		expect(created).toMatchObject({
			email: "ada@example.com",
			first_name: "Ada",
			last_name: "Brandt",
			created_at: app.tables.user?.[0]?.createdAt,
			deleted_at: null,
		});
		expect(app.tables.user?.[0]).toMatchObject({ apiToken: "never-to-be-sent" });
		expect(JSON.stringify(created)).not.toContain("never-to-be-sent");

		const image = "https://images.example.com/ada.png";
		expect((await app.post("/update-user", { name: "Ada Noor", image }, cookie)).status).toBe(200);
		expect(await untilUser(site, (user) => user.last_name === "Noor")).toMatchObject({
			id,
			image_url: image,
		});

		const deletion = await app.post("/delete-user", { password: "correct-horse-battery" }, cookie);
		expect(deletion.status).toBe(200);
		expect(app.tables.user).toEqual([]);
		expect(await untilUser(site, (user) => user.deleted_at !== null)).toMatchObject({
			id,
			last_name: "Noor",
		});
		const events = await userEvents(server, site.tenant);
		expect(events.map((event) => event.type)).toEqual(["user.created", "user.updated", "user.deleted"]);
		expect(events[0].data).toMatchObject({ provider: "better_auth", user_id: id });
	});

	it("are mirrored also when the application writes them without any request", async () => {
		const site = await newSite();
		const app = await startBetterAuthApp({ ...site, fields: ["plan"] });
		const { internalAdapter } = await app.auth.$context;
		const fields = { name: "Mononym", email: "m@example.com", emailVerified: true, plan: "pro" };
		const made = await internalAdapter.createUser(fields, { method: "admin" });
		const row = await untilUser(site, (user) => user.id === made.id);
		expect(row).toMatchObject({ first_name: "Mononym", last_name: null, raw: { plan: "pro" } });
		await internalAdapter.deleteUser(made.id);
		await untilUser(site, (user) => user.deleted_at !== null);
	});

	it("sign up as ever while the receiver hangs", async () => {
		const receiver = await startReceiver();
		receiver.respondWith("hang");
		const app = await startBetterAuthApp({
			webhookUrl: receiver.url,
			secret: `whsec_${Buffer.alloc(32, 5).toString("base64")}`,
			timeoutMs: 60_000,
		});
		// Neither sign-up waits for an answer: none comes.
		for (const email of ["one@example.com", "two@example.com"]) await app.signUp({ name: "A B", email });
		await receiver.waitFor(1);
		expect(app.tables.user).toHaveLength(2);
		await receiver.close();
	});

	it.each<ReplyRule>(["reset", 503, 401])(
		"sign up as ever while the receiver is away (%j), and are mirrored once it is back",
		async (trouble) => {
			const site = await newSite();
			const gate = await startReceiver();
			gate.respondWith(trouble);
			const { pathname } = new URL(site.webhookUrl);
			const app = await startBetterAuthApp({
				webhookUrl: `${gate.url}${pathname}`,
				secret: site.secret,
				retryDelaysMs: [20, 50],
			});
			const first = await app.signUp({ name: "First Person", email: "first@example.com" });
			await app.signUp({ name: "Second Person", email: "second@example.com" });
			await app.post("/update-user", { name: "First Renamed" }, first.cookie);
			await gate.waitFor(4);
			expect(await users(site)).toEqual([]);

			gate.respondWith(
				async ({ headers, body }) => (await deliver(site, { headers, body: String(body) })).status,
			);
			const rows = await until(async () => {
				const found = await users(site);
				return found.length === 2 && found.some((user) => user.last_name === "Renamed") ? found : null;
			});
			expect(rows.map((user) => user.email)).toEqual(["first@example.com", "second@example.com"]);
			const ids = new Set(gate.requests.map(({ headers }) => headers["webhook-id"]));
			expect(ids.size).toBe(3);
			await gate.close();
		},
	);

	it("sign up as ever when the plugin has no variables, and nobody can export them then", async () => {
		const app = await startBetterAuthApp({ webhookUrl: undefined, secret: undefined });
		await app.signUp({ name: "A B", email: "a@example.com" });
		const unsigned = await app.post("/capydb/export-users", { type: "users.export", cursor: null, limit: 9 });
		expect(unsigned.status).toBe(401);
	});
});

describe("the users that a Better Auth application had before", () => {
	it("come by the signed export, page by page, and what is no chosen field does not", async () => {
		const site = await newSite();
		const app = await startBetterAuthApp(site);
		app.addUsers(1_203);
		const { status, body } = await put(site.tenant, { credentials: { export_url: app.exportUrl } });
		expect([status, body.plaintext_webhook_signing_secret]).toEqual([200, undefined]);
		const { body: synced } = await sync(site.tenant);
		const job = await endedJob(server, site.tenant, synced.job.id);
		expect(job).toMatchObject({ state: "completed", type: "integration.better_auth_backfill", error: null });
		expect(job.last_stdout).toContain("backfilled 1,203 users");
		const rows = await users(site);
		expect(new Set(rows.map((user) => user.id))).toEqual(new Set(app.tables.user?.map((user) => user.id)));
		expect(rows[0]).toMatchObject({ first_name: "Person", email: "person-0@example.com" });
		expect(JSON.stringify(rows)).not.toContain("never-to-be-sent");
		expect(await userEvents(server, site.tenant)).toEqual([]);
	});

	it("are asked for only where the application takes our signature", async () => {
		const site = await newSite();
		const app = await startBetterAuthApp({
			...site,
			secret: `whsec_${Buffer.alloc(32, 6).toString("base64")}`,
		});
		const refused = await put(site.tenant, { credentials: { export_url: app.exportUrl } });
		expect([refused.status, refused.body.code]).toEqual([400, "provider.unauthorized"]);
		expect(refused.body.error).toContain("INVALID_SIGNATURE");
		expect((await sync(site.tenant)).status).toBe(400);
		const gone = await startReceiver();
		await gone.close();
		const away = await put(site.tenant, { credentials: { export_url: gone.url } });
		expect(away.status).toBe(502);
		const elsewhere = await put(site.tenant, { credentials: { export_url: site.webhookUrl } });
		expect(elsewhere.status).toBe(400);
	});

	it("are asked for with the secret that is given in the same call", async () => {
		const tenant = await server.tenant();
		const secret = `whsec_${Buffer.alloc(32, 8).toString("base64")}`;
		const app = await startBetterAuthApp({ webhookUrl: server.url, secret });
		const export_url = app.exportUrl;
		const without = await put(tenant, { credentials: { export_url } });
		expect([without.status, without.body.error]).toEqual([400, expect.stringContaining("no signing secret")]);
		const given = await put(tenant, { credentials: { export_url, webhook_signing_secret: secret } });
		expect([given.status, given.body.integration.has_credentials]).toEqual([200, true]);
		expect(JSON.stringify(given.body)).not.toContain(export_url);
	});

	it.each([
		"export",
		"ftp://example.com/export",
		"https:example.com",
		"https://user@example.com/export",
		"https://example.com/export#all",
		"https://example.com:22/export",
	])("are not asked for at %s", async (export_url) => {
		const { status, body } = await put((await newSite()).tenant, { credentials: { export_url } });
		expect([status, body.code]).toEqual([400, "provider.invalid_request"]);
		expect(body.error).toContain("export_url");
	});
});

describe("a delivery of an application without the plugin", () => {
	it.each(Object.entries(simpleDeliveries))("%s: what becomes of its user's row", async (_, delivery) => {
		const site = await newSite();
		const before = { event: "user.created", user: { id: delivery.user.id, name: "Before", updatedAt: 1 } };
		for (const each of [before, delivery]) {
			const { status, body } = await deliver(site, signedSimply(each, site.secret));
			expect([status, body]).toEqual([200, { received: true }]);
		}
		await settledInbound(server, 2);
		const [row, ...others] = await users(site);
		expect(others).toEqual([]);
		const isTimedByUs = delivery.event === "user.deleted" && !("updatedAt" in delivery.user);
		expect({ ...row, ...(isTimedByUs ? { deleted_at: "when it came" } : {}) }).toMatchSnapshot();
	});

	it("counts once, however often it comes, and by either name of the provider", async () => {
		const site = await newSite();
		const signed = signedSimply(simpleDeliveries["user.created"], site.secret);
		const path = new URL(site.webhookUrl).pathname;
		expect(path).toContain("/integrations/better-auth/webhook/");
		const other = path.replace("better-auth", "better_auth");
		for (const at of [path, other, path]) {
			const { headers, body } = signed;
			expect((await server.call("POST", at, { key: null, rawBody: body, headers })).status).toBe(200);
		}
		await settledInbound(server, 1);
		expect((await userEvents(server, site.tenant)).map((event) => event.type)).toEqual(["user.created"]);
		const { body } = await put(site.tenant, {}, "better_auth");
		expect(body.integration.provider).toBe("better_auth");
	});

	it("brings a deleted user back when it is newer, and not when it is older", async () => {
		const site = await newSite();
		const id = "user-1";
		const at = (second: number) => `2026-03-01T09:00:0${second}.000Z`;
		const steps = [
			{ event: "user.deleted", user: { id }, timestamp: at(5) },
			{ event: "user.created", user: { id, name: "Old", updatedAt: at(1) } },
			{ event: "user.updated", user: { id, name: "New", updatedAt: at(7) } },
		];
		const seen: unknown[] = [];
		for (const step of steps) {
			await deliver(site, signedSimply(step, site.secret));
			await settledInbound(server, 1);
			const [row] = await users(site);
			seen.push([row?.first_name ?? null, row?.deleted_at !== null]);
		}
		expect(seen).toEqual([
			[null, true],
			[null, true],
			["New", false],
		]);
	});

	it("is refused with a wrong signature, and taken when signed as Standard Webhooks describe", async () => {
		const site = await newSite();
		const wrong = signedSimply(simpleDeliveries["user.created"], `${site.secret}x`);
		expect((await deliver(site, wrong)).body.code).toBe("webhook.bad_signature");
		const delivery = pluginDeliveries["user.deleted"];
		const late = signedStandard(delivery, site.secret, { at: new Date(Date.now() - 400_000) });
		const { status, body } = await deliver(site, late);
		expect([status, body.code]).toEqual([401, "webhook.stale"]);
		expect((await deliver(site, signedStandard(delivery, site.secret))).status).toBe(200);
		await untilUser(site, (user) => (user.deleted_at as Date).toISOString() === delivery.timestamp);
	});
});
