import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { backlogStore } from "../../src/deliveries/backlog-store.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { addEndpoint, addOrganization, publish, receiving } from "../deliveries/webhook-server.ts";
import { signingSecret } from "../integrations/clerk-server.ts";
import { measuring } from "../support/explain.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { metricsToken, scrape } from "./scrape.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({
		keep: true,
		env: { METRICS_TOKEN: metricsToken, WEBHOOK_ENDPOINT_CONCURRENCY: "2" },
	});
});
afterAll(() => server.close());

/** Scrapes until the series has the value. */
function untilIs(series: string, value: number) {
	return until(async () => (await scrape(server)).value(series) === value, {
		everyMs: 100,
		what: `${series} ${value}`,
	});
}

describe("GET /metrics", () => {
	it("is there only where METRICS_TOKEN is set, and only for who shows it", async () => {
		for (const key of [null, `${metricsToken}x`, metricsToken.slice(1), server.adminToken]) {
			const { status, body, text } = await server.call("GET", "/metrics", { key });
			expect([key, status, body.code]).toEqual([key, 401, "credential.invalid"]);
			expect(text).not.toContain("capydb_http");
		}
		expect((await server.call("GET", "/metrics", { key: metricsToken })).status).toBe(200);
		const without = await startTestServer({ databaseUrl: server.databaseUrl });
		for (const key of [null, metricsToken, without.adminToken]) {
			expect((await without.call("GET", "/metrics", { key })).status).toBe(404);
		}
	});

	it("counts requests under their routes' patterns, however many paths are asked for", async () => {
		await server.call("GET", "/v1/projects/prj_01h455vb4pex5vsknk084sn02q");
		await server.call("GET", "/nothing-here/1");
		const before = await scrape(server);
		for (let at = 0; at < 50; at += 1) {
			await server.call("GET", `/v1/projects/prj_01h455vb4pex5vsknk084sn0${10 + at}`);
			await server.call("GET", `/nothing-here/${at}?code=${at}`, { key: null });
		}
		await server.call("PROPFIND", "/v1/me", { key: null }).catch(() => undefined);
		const after = await scrape(server);
		const grown = (series: string) => (after.value(series) ?? 0) - (before.value(series) ?? 0);
		expect(
			grown('capydb_http_requests_total{method="GET",route="/v1/projects/:projectID",status="404"}'),
		).toBe(50);
		expect(grown('capydb_http_requests_total{method="GET",route="unknown",status="404"}')).toBe(50);
		expect(
			grown('capydb_http_request_duration_seconds_count{method="GET",route="/v1/projects/:projectID"}'),
		).toBe(50);
		const lines = ({ text }: { text: string }) => text.split("\n").length;
		expect(lines(after) - lines(before)).toBeLessThan(40);
	});

	it("counts attempts by outcome, the first attempt's delay, and what ended", async () => {
		const receiver = await receiving();
		receiver.respondWith(({ url }) => (url === "/gone" ? 410 : 200));
		const owner = await addOrganization(server);
		await addEndpoint(server, owner, { url: `${receiver.url}/good` });
		await addEndpoint(server, owner, { url: `${receiver.url}/gone` });
		const before = await scrape(server);
		for (let at = 0; at < 3; at += 1) await publish(server, owner, { type: "a.b", data: at });
		const grown = async (series: string) =>
			((await scrape(server)).value(series) ?? 0) - (before.value(series) ?? 0);
		await until(async () => (await grown('capydb_delivery_attempts_total{outcome="delivered"}')) === 3);
		await until(async () => (await grown('capydb_delivery_attempts_total{outcome="http_4xx"}')) >= 1);
		expect(await grown('capydb_deliveries_ended_total{state="delivered"}')).toBe(3);
		expect(await grown('capydb_deliveries_ended_total{state="failed"}')).toBeGreaterThanOrEqual(1);
		expect(await grown("capydb_delivery_first_attempt_delay_seconds_count")).toBeGreaterThanOrEqual(4);
		expect(await grown('capydb_delivery_first_attempt_delay_seconds_bucket{le="60"}')).toBe(
			await grown("capydb_delivery_first_attempt_delay_seconds_count"),
		);
		expect(await grown("capydb_delivery_attempt_duration_seconds_sum")).toBeGreaterThan(0);
	});

	it("shows what is under way, how much waits behind it, and for how long", async () => {
		const receiver = await receiving();
		receiver.respondWith("hang");
		const owner = await addOrganization(server);
		const endpoint = await addEndpoint(server, owner, { url: receiver.url });
		for (let at = 0; at < 5; at += 1) await publish(server, owner, { type: "a.b", data: at });
		await untilIs("capydb_delivery_in_flight", 2);
		await untilIs("capydb_deliveries_due", 3);
		await server.sql("update deliveries set next_attempt_at = next_attempt_at - interval '90 seconds'");
		const late = await until(
			async () => {
				const oldest = (await scrape(server)).value("capydb_delivery_oldest_due_seconds") ?? 0;
				return oldest > 90 && oldest;
			},
			{ everyMs: 100 },
		);
		expect(late).toBeLessThan(600);
		const { body } = await server.call("PATCH", endpoint.path, {
			key: owner.key,
			body: { is_active: false },
		});
		expect(body.webhook_endpoint.is_active).toBe(false);
		await untilIs("capydb_deliveries_due", 0);
	});

	it("counts what providers post by its verdict, and jobs and tasks by their outcome", async () => {
		const { projectId, key } = await server.tenant();
		await server.call("PUT", `/v1/projects/${projectId}/integrations/clerk`, {
			key,
			body: { credentials: { webhook_signing_secret: signingSecret } },
		});
		const path = `/v1/integrations/clerk/webhook/${projectId}`;
		expect((await server.call("POST", path, { key: null, rawBody: "{}" })).status).toBe(401);
		const unknown = path.replace(projectId, "prj_01h455vb4pex5vsknk084sn02q");
		expect((await server.call("POST", unknown, { key: null, rawBody: "{}" })).status).toBe(404);
		const { value } = await scrape(server);
		const inbound = (verdict: string) =>
			value(`capydb_inbound_webhooks_total{provider="clerk",verdict="${verdict}"}`);
		expect([inbound("webhook.missing_signature"), inbound("integration.not_found")]).toEqual([1, 1]);
		expect(value('capydb_job_attempts_total{type="instance.create",outcome="completed"}')).toBe(1);
		expect(value('capydb_job_attempt_duration_seconds_count{type="instance.create"}')).toBe(1);
		expect(value('capydb_tasks_total{task="jobs.run",outcome="done"}')).toBeGreaterThanOrEqual(1);
		expect(value('capydb_jobs{state="pending"}')).toBeDefined();
	});

	it("shows the pools, the loops and the process", async () => {
		const { value, labels, names } = await scrape(server);
		expect([...labels("pool")].sort()).toEqual(["api", "claims", "engine"]);
		expect(value('capydb_db_waiting{pool="api"}')).toBe(0);
		const loops = ["clock", "deliveries", "delivery_sweep", "inbound_sweep", "queue"];
		expect([...labels("loop")].sort()).toEqual(loops);
		for (const loop of loops) expect([loop, value(`capydb_loop_alive{loop="${loop}"}`)]).toEqual([loop, 1]);
		expect(value("capydb_event_loop_delay_seconds")).toBeGreaterThanOrEqual(0);
		expect(names).toContain("process_cpu_seconds_total");
	});

	it("holds no secret, no id, no address and nothing that a caller wrote", async () => {
		const secret = "planted-secret-5c1a";
		const receiver = await receiving();
		const { organizationId, projectId, key } = await server.tenant(secret);
		const owner = { organizationId, key };
		await addEndpoint(server, owner, { url: `${receiver.url}/${secret}`, secret_headers: { "x-a": secret } });
		await publish(server, owner, { type: secret.replaceAll("-", "_"), data: secret });
		await receiver.waitFor(1);
		await server.call("GET", `/${secret}?token=${secret}`, { key: secret });
		await server.call("POST", `/v1/integrations/clerk/webhook/${secret}`, {
			key: null,
			rawBody: secret,
			headers: { "svix-id": secret },
		});
		const { text } = await scrape(server);
		const planted = [secret, secret.replaceAll("-", "_"), key, metricsToken, server.adminToken, projectId];
		expect(planted.filter((each) => text.includes(each))).toEqual([]);
		expect(text).not.toMatch(/(org|prj|key|int|job|pvw|dep|whe|evt|whd|att|inb|src|aud|req)_[0-9a-z]{20}/);
		expect(text).not.toMatch(/127\.0\.0\.1|postgres:\/\//);
	});
});

describe("a scrape", () => {
	it("reads no more behind a large backlog than behind one that is counted to its bound", async () => {
		const quiet = await startTestServer({ env: { ROLE: "api" } });
		const owner = await addOrganization(quiet);
		const { id } = await addEndpoint(quiet, owner, { url: "http://127.0.0.1:9999/", event_types: ["none"] });
		const grow = async (count: number) => {
			await quiet.sql(
				`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
					max_attempts, next_attempt_at, created_at, updated_at)
				select $1, uuid_v7(), $2, uuid_v7(), 'a', 'event', 'pending', 0, 8, now() - interval '1 second' * n,
					now(), now()
				from generate_series(1, $3::int) n`,
				[toUuid(owner.organizationId), toUuid(id), count],
			);
			await quiet.sql("update delivery_lanes set due_at = now() - interval '1 hour'");
		};
		const pool = openDatabase({
			url: quiet.databaseUrl,
			applicationName: "test",
			connectionsMax: 1,
			log: silentLog,
			statementTimeoutMs: 5_000,
			plansByKey: true,
		});
		try {
			const measured: { pages: number; wastedRows: number }[] = [];
			const pages = async () => {
				await backlogStore(measuring(pool, measured)).read();
				return measured.pop()?.pages ?? Number.NaN;
			};
			await grow(11_000);
			const bound = await pages();
			await grow(40_000);
			const large = await pages();
			expect(bound).toBeGreaterThan(0);
			expect(large).toBeLessThan(bound * 1.5);
			const backlog = await backlogStore(pool).read();
			expect(backlog).toMatchObject({ lanes: 1, due: 10_000 });
			expect(backlog.oldestSeconds).toBeGreaterThanOrEqual(40_000);
		} finally {
			await pool.close();
		}
	});
});

describe("src/alerts.yml", () => {
	it("asks for metrics and labels that are there, and the README says of each alert what to do", async () => {
		const rules = await readFile(new URL("../../src/alerts.yml", import.meta.url), "utf8");
		const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
		const { text, names } = await scrape(server);
		const declared = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
		const asked = new Set([...rules.matchAll(/\bcapydb_[a-z_]+/g)].map(([name]) => name));
		expect(asked.size).toBeGreaterThan(12);
		expect([...asked].filter((name) => !names.has(name) && !declared.has(name))).toEqual([]);
		const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
		expect(new Set(alerts).size).toBe(alerts.length);
		const explained = [...readme.matchAll(/^\| `(Capydb\w+)` +\|/gm)].map(([, name]) => name);
		expect(explained).toEqual(alerts);
	});
});
