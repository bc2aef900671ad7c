import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { watchEventLoop } from "../../src/platform/event-loop.ts";
import { postEvents } from "../deliveries/webhook-server.ts";
import { type ClerkServer, connect, newUser, send, startClerkServer } from "../integrations/clerk-server.ts";
import { type Answer, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { metricsToken, scrape } from "./scrape.ts";

/** Every request for an organization waits for this lock, and keeps a connection of the pool meanwhile. */
function holdOrganizations(server: TestServer): Promise<() => Promise<void>> {
	return hold(server, "organizations", "access exclusive");
}

async function hold(server: TestServer, table: string, mode: string): Promise<() => Promise<void>> {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	await holder.query(`begin; lock table ${table} in ${mode} mode`);
	return () => holder.end();
}

/** Until a statement waits for the table. */
async function untilHeld(server: TestServer, table: string): Promise<void> {
	const waiting = "select from pg_locks where not granted and relation = $1::regclass";
	await until(async () => (await server.sql(waiting, [table])).length > 0);
}

async function startConnected(): Promise<ClerkServer> {
	const site = await startClerkServer(1, { METRICS_TOKEN: metricsToken });
	await connect(site);
	return site;
}

async function batchWait(server: TestServer, batch: string): Promise<number> {
	return (await scrape(server)).value(`capydb_batch_oldest_wait_seconds{batch="${batch}"}`) ?? 0;
}

/** For one that is unknown. */
function ask(server: TestServer) {
	return server.call("GET", "/v1/organizations/org_01h455vb4pex5vsknk084sn02q");
}

function post(server: TestServer) {
	return server.call("POST", "/v1/integrations/clerk/webhook/prj_01h455vb4pex5vsknk084sn02q", {
		key: null,
		rawBody: "{}",
	});
}

it("with its connections exhausted the API answers 503 at once, takes providers' posts for longer, and recovers", async () => {
	const server = await startTestServer({ env: { METRICS_TOKEN: metricsToken } });
	const release = await holdOrganizations(server);
	const held = Array.from({ length: 30 }, () => ask(server));
	const oldestWait = async () =>
		(await scrape(server)).value('capydb_db_oldest_wait_seconds{pool="api"}') ?? 0;
	await until(async () => (await oldestWait()) > 2);

	const refused = await ask(server);
	expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "2"]);
	expect(refused.body).toEqual({
		error: expect.any(String),
		code: "server.overloaded",
		request_id: expect.any(String),
	});
	expect((await server.call("GET", "/healthz", { key: null })).status).toBe(200);
	// At this moment a provider is let in: it waits for a connection, and is answered by its route.
	const posted = post(server);
	await release();
	expect((await posted).status).toBe(404);
	for (const { status } of await Promise.all(held)) expect([404, 503]).toContain(status);

	expect((await ask(server)).status).toBe(404);
	const { value } = await scrape(server);
	expect(value('capydb_shed_requests_total{scope="api"}')).toBe(1);
	expect(value('capydb_shed_requests_total{scope="inbound"}')).toBeUndefined();
	expect(await oldestWait()).toBeLessThan(1);
});

it("when that lasts, providers are told at once to come back, too, before their own patience ends", async () => {
	const server = await startTestServer({ env: { METRICS_TOKEN: metricsToken } });
	const release = await holdOrganizations(server);
	const held: Promise<Answer>[] = [];
	const refused = await until(
		async () => {
			const waited = (await scrape(server)).value('capydb_db_oldest_wait_seconds{pool="api"}') ?? 0;
			// Those that waited for too long have been answered: the queue is filled anew.
			if (waited === 0) held.push(...Array.from({ length: 25 }, () => ask(server)));
			// Asked only while the queue's first has waited for long: a post that is let in waits itself.
			if (waited < 4.1) return null;
			const answer = await post(server);
			return answer.body.code === "server.overloaded" && answer;
		},
		{ everyMs: 50 },
	);
	expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
	await release();
	await Promise.all(held);
	expect((await post(server)).status).toBe(404);
});

it("with commits of events stalled publishers are told at once to come back, providers' posts are taken, and it recovers", async () => {
	const site = await startConnected();
	const { server, tenant } = site;
	const publish = () => postEvents(server, tenant, '{"type":"a.b","data":1}');
	const release = await hold(server, "events", "exclusive");
	const first = publish();
	await untilHeld(server, "events");
	const behind = Array.from({ length: 9 }, publish);
	await until(async () => (await batchWait(server, "publish")) > 2);

	const refused = await publish();
	expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([
		503,
		"server.overloaded",
		"2",
	]);
	expect((await send(site, "user.created", newUser())).status).toBe(200);
	// What waits is not kept for as long as the statement before it.
	for (const { status } of await Promise.all(behind)) expect(status).toBe(503);
	expect(await batchWait(server, "publish")).toBe(0);

	await release();
	expect((await first).status).toBe(202);
	expect((await publish()).status).toBe(202);
	const { value } = await scrape(server);
	expect(value('capydb_shed_requests_total{scope="api"}')).toBe(1);
	expect(value('capydb_shed_requests_total{scope="inbound"}')).toBeUndefined();
});

it("with commits of webhooks stalled providers are told to come back in time, and the API is not concerned", async () => {
	const site = await startConnected();
	const { server, tenant } = site;
	const post = () => send(site, "user.created", newUser());
	const release = await hold(server, "inbound_webhooks", "exclusive");
	const first = post();
	await untilHeld(server, "inbound_webhooks");
	const held = [first, ...Array.from({ length: 4 }, post)];
	await until(async () => (await batchWait(server, "inbound")) > 6);
	const refused = await post();
	expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([
		503,
		"server.overloaded",
		"5",
	]);
	expect((await postEvents(server, tenant, '{"type":"a.b","data":1}')).status).toBe(202);
	for (const { status } of await Promise.all(held)) expect(status).toBe(503);
	await release();
	// Some providers do not come back: what they were refused so late is stored all the same.
	await until(async () => (await server.sql("select from inbound_webhooks")).length === 5);
	expect((await post()).status).toBe(200);
});

it("the event loop counts as late when every turn is long, and not for one long turn", async () => {
	const loop = watchEventLoop();
	onTestFinished(() => loop.close());
	await until(() => loop.delayMs() < 400);
	block(1_500);
	await new Promise((resolve) => setTimeout(resolve, 100));
	expect(loop.delayMs()).toBeLessThan(400);
	const busy = setInterval(() => block(1_200), 1);
	try {
		await until(() => loop.delayMs() > 600);
	} finally {
		clearInterval(busy);
	}
	await until(() => loop.delayMs() < 400);
});

function block(ms: number): void {
	const endAt = performance.now() + ms;
	while (performance.now() < endAt);
}
