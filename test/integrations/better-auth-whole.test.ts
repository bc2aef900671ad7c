import { describe, expect, it, onTestFinished } from "vitest";
import { betterAuthUser, signedSimply } from "../fixtures/better-auth/webhooks.ts";
import { type ReceivedRequest, type Reply, startReceiver } from "../support/receiver.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { startBetterAuthApp } from "./better-auth-app.ts";
import { endedJob, projectSql, settledInbound, userEvents } from "./clerk-server.ts";

type Site = { server: TestServer; tenant: Tenant; path: string; webhookUrl: string; secret: string };

/** A project that is connected to a Better Auth application. */
async function startSite(): Promise<Site> {
	const server = await startTestServer();
	const tenant = await server.tenant();
	const path = `/v1/projects/${tenant.projectId}/integrations/better-auth`;
	const { body } = await server.call("PUT", path, { key: tenant.key, body: {} });
	const { webhook_receiver: webhookUrl } = body.integration.config;
	return { server, tenant, path, webhookUrl, secret: body.plaintext_webhook_signing_secret };
}

async function exportAt({ server, tenant, path }: Site, export_url: string) {
	const { status } = await server.call("PUT", path, {
		key: tenant.key,
		body: { credentials: { export_url } },
	});
	expect(status).toBe(200);
}

async function sync({ server, tenant, path }: Site) {
	const { body } = await server.call("POST", `${path}/sync`, { key: tenant.key });
	return body.job.id as string;
}

function usersOf({ server, tenant }: Site) {
	return projectSql(server, tenant, "select * from capydb_auth.users order by id");
}

/** An application whose export answers as told, for good. */
async function startExport(answer: (cursor: string | null, limit: number) => object): Promise<string> {
	const application = await startReceiver();
	onTestFinished(() => application.close());
	application.respondWith(({ body }: ReceivedRequest): Reply => {
		const { cursor, limit } = JSON.parse(String(body));
		return { status: 200, body: JSON.stringify(answer(cursor, limit)) };
	});
	return `${application.url}/export`;
}

describe("an application's list of users", () => {
	it("that goes round ends as a failed job, and nobody is taken for gone", async () => {
		const site = await startSite();
		const { server, tenant, webhookUrl, secret } = site;
		const signed = signedSimply({ event: "user.created", user: betterAuthUser({ id: "kept" }) }, secret);
		await server.call("POST", new URL(webhookUrl).pathname, {
			key: null,
			rawBody: signed.body,
			headers: signed.headers,
		});
		await settledInbound(server, 1);
		let asked = 0;
		const url = await startExport(() => {
			asked += 1;
			const at = asked % 7;
			return { users: [betterAuthUser({ id: `u${at}` })], cursor: `c${at}` };
		});
		await exportAt(site, url);
		const id = await sync(site);
		const job = await until(async () => {
			const { body } = await server.call("GET", `/v1/jobs/${id}`, { key: tenant.key });
			return body.job.error === null ? null : body.job;
		});
		expect(job).toMatchObject({
			retry_classification: "transient",
			error: "Better Auth's list of users has no end: it comes back to where it was.",
		});
		expect(asked).toBeLessThan(40);
		const kept = (await usersOf(site)).find((user) => user.id === "kept");
		expect(kept?.deleted_at).toBeNull();
	});

	it("may hold no more users in a page than were asked for: a host could fill our memory with them", async () => {
		const site = await startSite();
		const tiny = Array.from({ length: 501 }, (_, at) => ({ id: `u${at}` }));
		const url = await startExport((_, limit) => ({ users: limit === 1 ? [] : tiny, cursor: null }));
		await exportAt(site, url);
		const id = await sync(site);
		const { body } = await until(async () => {
			const answer = await site.server.call("GET", `/v1/jobs/${id}`, { key: site.tenant.key });
			return answer.body.job.error === null ? null : answer;
		});
		expect(body.job.error).toBe("The application gave a list of users that we cannot read.");
		expect(await usersOf(site)).toEqual([]);
	});

	it("is read each night, for what was lost with a process of the application", async () => {
		const site = await startSite();
		const app = await startBetterAuthApp(site);
		app.addUsers(3);
		await exportAt(site, app.exportUrl);
		await endedJob(site.server, site.tenant, await sync(site));
		app.addUsers(2);
		app.tables.user?.shift();
		await site.server.advance(24 * 3_600_000);
		await site.server.ctx.tasks.send("users.reconcile", {});
		const living = () =>
			projectSql(site.server, site.tenant, "select id from capydb_auth.users where deleted_at is null");
		await until(async () => (await living()).length === 4);
		const ids = (await living()).map((user) => user.id);
		expect(new Set(ids)).toEqual(new Set(app.tables.user?.map((user) => user.id)));
		expect(await userEvents(site.server, site.tenant)).toEqual([]);
	});
});

describe("an event that holds a user's id alone", () => {
	it("empties no row, and is recorded as such", async () => {
		const site = await startSite();
		const { server, tenant, webhookUrl, secret } = site;
		const user = betterAuthUser();
		for (const body of [
			{ event: "user.created", user },
			{ event: "user.updated", user: { id: user.id, updatedAt: "2026-04-01T00:00:00.000Z", name: null } },
		]) {
			const signed = signedSimply(body, secret);
			const rawBody = signed.body;
			const { headers } = signed;
			const path = new URL(webhookUrl).pathname;
			expect((await server.call("POST", path, { key: null, rawBody, headers })).status).toBe(200);
		}
		const inbound = await settledInbound(server, 2);
		expect(inbound.find(({ type }) => type === "user.updated")).toMatchObject({
			state: "ignored",
			error: "The event holds only the user's id, and Better Auth has no way to read one user.",
		});
		expect(await usersOf(site)).toMatchObject([{ email: user.email, first_name: "Ada" }]);
		expect((await userEvents(server, tenant)).map(({ type }) => type)).toEqual(["user.created"]);
	});
});
