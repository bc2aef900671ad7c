import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { watchEventLoop } from "../../src/platform/event-loop.ts";
import { type Answer, startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { metricsToken, scrape } from "./scrape.ts";

/** Every request for an organization waits for this lock, and keeps a connection of the pool meanwhile. */
async function holdOrganizations(server: TestServer): Promise<() => Promise<void>> {
	const holder = new pg.Client({ connectionString: server.databaseUrl });
	await holder.connect();
	await holder.query("begin; lock table organizations in access exclusive mode");
	return () => holder.end();
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
