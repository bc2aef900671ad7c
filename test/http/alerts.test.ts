import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildWorkers } from "../../src/workers.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { metricsToken, scrape } from "./scrape.ts";

type Rule = { name: string; expr: string };

let server: TestServer;
let rules: Rule[];

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { METRICS_TOKEN: metricsToken } });
	rules = readRules(await readFile(new URL("../../src/alerts.yml", import.meta.url), "utf8"));
});
afterAll(() => server.close());

/** Of each rule the name and the expression, on one line or folded. */
function readRules(yaml: string): Rule[] {
	return yaml
		.split(/^ {6}- alert: /m)
		.slice(1)
		.map((rule) => {
			const [, expr = ""] = /^ {8}expr: (?:>-\n)?([\s\S]*?)\n {8}\w/m.exec(rule) ?? [];
			return { name: rule.split("\n")[0] ?? "", expr: expr.replace(/\s+/g, " ").trim() };
		});
}

function exprOf(name: string): string {
	return rules.find((rule) => rule.name === name)?.expr ?? "";
}

type Selector = { metric: string; matchers: { label: string; operator: string; value: string }[] };

function selectorsOf(expr: string): Selector[] {
	return [...expr.matchAll(/\b(capydb_[a-z_]+)(?:\{([^}]*)\})?/g)].map(([, metric = "", inner = ""]) => ({
		metric,
		matchers: [...inner.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)].map(
			([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
		),
	}));
}

/** As Prometheus selects: anchored, and every matcher must hold. */
function selects({ metric, matchers }: Selector, series: string): boolean {
	const [name = "", inner = ""] = series.split(/[{}]/);
	if (name !== metric) return false;
	const labels = new Map([...inner.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]));
	return matchers.every(({ label, operator, value }) => {
		const found = labels.get(label);
		if (found === undefined) return false;
		if (operator === "=~") return new RegExp(`^(?:${value})$`).test(found);
		return (found === value) === (operator === "=");
	});
}

async function shownSeries(): Promise<string[]> {
	const lines = (await scrape(server)).text.split("\n").filter((line) => /^capydb_/.test(line));
	return lines.map((line) => line.slice(0, line.lastIndexOf(" ")));
}

describe("src/alerts.yml", () => {
	it("selects, in each of its rules, series that are there once such a thing has happened", async () => {
		const { meters } = server.ctx;
		meters.request({ method: "GET", route: "/v1/me", status: "500" }, 0.1);
		meters.attempt({ outcome: "timeout", state: "failed", seconds: 1, delaySeconds: null });
		meters.jobAttempt("instance.create", "failed", 1);
		meters.inbound("clerk", "webhook.bad_signature");
		meters.inbound("clerk", "webhook.unavailable");
		meters.shed("api");
		meters.withheld("sealed");
		// Counted from the database, which `tenant` gives a job.
		await server.tenant();
		const series = await until(async () => {
			const shown = await shownSeries();
			return shown.some((one) => one.startsWith("capydb_job_oldest_seconds{")) && shown;
		});
		const empty = rules.flatMap(({ name, expr }) =>
			selectorsOf(expr)
				.filter((selector) => !series.some((one) => selects(selector, one)))
				.map((selector) => [name, selector]),
		);
		expect(empty).toEqual([]);
		expect(rules.filter(({ expr }) => selectorsOf(expr).length === 0).map(({ name }) => name)).toEqual([
			"CapydbDown",
		]);
	});

	it("watches everything that runs by itself, which can fail often enough to be told of", async () => {
		const [, within = "", least = ""] =
			/\[(\d+)h\]\)\) >= (\d+)$/.exec(exprOf("CapydbScheduleFailing")) ?? [];
		const [selector] = selectorsOf(exprOf("CapydbScheduleFailing"));
		const workers = Object.entries(buildWorkers(server.ctx, { poke: () => undefined }));
		const shown = await shownSeries();
		for (const [task, { schedule, queue }] of workers) {
			const series = `capydb_tasks_total{task="${task}",outcome="failed"}`;
			// There before the first failure: one that appears with it counts as no increase.
			expect(shown).toContain(series);
			expect([task, selector && selects(selector, series)]).toEqual([task, schedule !== undefined]);
			if (schedule === undefined) continue;
			const failures = startsWithin(schedule, Number(within)) * (1 + (queue.retryLimit ?? 0));
			expect([task, failures >= Number(least)]).toEqual([task, true]);
		}
		expect(workers.filter(([, { schedule }]) => schedule !== undefined).length).toBeGreaterThan(5);
	});

	it("hears of a task by the schedule that fails", async () => {
		await server.sql("alter table oauth_flows rename to oauth_flows_gone");
		await server.ctx.tasks.send("oauth.discard_expired", {});
		const series = 'capydb_tasks_total{task="oauth.discard_expired",outcome="failed"}';
		await until(async () => ((await scrape(server)).value(series) ?? 0) >= 1, { everyMs: 100 });
		await server.sql("alter table oauth_flows_gone rename to oauth_flows");
	});

	it("tells weeks before the growing tables have no partition to write to", async () => {
		const least = Number(/< (\d+)$/.exec(exprOf("CapydbPartitionsEnding"))?.[1]);
		const ahead = async () => (await scrape(server)).value("capydb_partitions_ahead_seconds") ?? Number.NaN;
		const weekSeconds = 7 * 24 * 3600;
		expect(least).toBeGreaterThanOrEqual(weekSeconds);
		expect(await ahead()).toBeGreaterThan(8 * weekSeconds);
		const last = await server.sql<{ name: string }>(
			"select relname as name from pg_class where relname ~ '^inbound_webhooks_[0-9]{8}$' order by 1 desc limit 7",
		);
		for (const { name } of last) await server.sql(`drop table "${name}"`);
		await until(async () => (await ahead()) < least, { everyMs: 250 });
		expect(await ahead()).toBeGreaterThan(0);
	});
});

/** How often a cron expression of ours comes round in so many hours, at the least. */
function startsWithin(schedule: string, hours: number): number {
	const [minute = "", hour = ""] = schedule.split(" ");
	if (hour !== "*") return 1;
	if (minute === "*") return 60 * hours;
	return (minute.startsWith("*/") ? 60 / Number(minute.slice(2)) : 1) * hours;
}
