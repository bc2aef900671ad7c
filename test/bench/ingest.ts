import { startFakeVercel } from "../fakes/vercel.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import type { Child } from "./child.ts";
import { median } from "./measure.ts";
import type { Posted, PostsCommands } from "./posts-process.ts";
import type { RoutesCommands } from "./routes-process.ts";
import { addTenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { costOf, measureUsage, sharesOf } from "./usage.ts";

const events = 20_000;
const parallel = 64;

type Hook = { url: string; secret: string; template: string };
type Round = { bare: Posted; plain: Posted; ours: Posted };

/**
 * Signed Vercel events a second, verified, deduplicated, stored, enqueued and answered; beside it a Fastify route that
 * only answers, and one that verifies the same signature and writes the same row with one INSERT a request.
 */
export const ingest: Case = async (input) => {
	const fake = await startFakeVercel();
	// What the events do is not this case's: no replica applies them.
	const server = await input.site.openServer("ingest", { ROLE: "api", VERCEL_API_URL: fake.origin });
	const hook = await connect(server, fake);
	const routes = await input.site.start<RoutesCommands>("routes", {
		env: { DATABASE_URL: server.databaseUrl, HOOK_SECRET: hook.secret },
	});
	const posts = await input.site.start<PostsCommands>("posts");
	const rows = await compare(input, server, hook, { routes, posts });
	for (const child of [posts, routes]) await child.stop();
	await server.stop();
	await fake.close();
	return rows;
};

async function connect(
	server: BenchServer,
	fake: Awaited<ReturnType<typeof startFakeVercel>>,
): Promise<Hook> {
	const { key } = await addTenant(server, []);
	const { project } = await server.call("POST", "/v1/projects", { name: "web" }, key);
	const target = fake.addProject();
	const body = {
		vercel_project_id: target.id,
		team_id: fake.teamId,
		token: fake.addToken(),
		preview_branches: true,
	};
	await server.call("POST", `/v1/projects/${project.id}/integrations/vercel/connect`, body, key);
	const [hook] = [...fake.hooks.values()];
	if (hook === undefined) throw new Error("No hook was registered.");
	const { event } = fake.deploy(target, { branch: "checkout" });
	return { url: hook.url, secret: hook.secret, template: JSON.stringify(event) };
}

type Processes = { routes: Child<RoutesCommands>; posts: Child<PostsCommands> };

async function compare(
	{ site, isQuick, say }: CaseInput,
	server: BenchServer,
	hook: Hook,
	{ routes, posts }: Processes,
): Promise<Row[]> {
	const count = isQuick ? events / 10 : events;
	const beside = await routes.call("url");
	const post = async (url: string): Promise<Posted> => {
		await server.sql("truncate inbound_webhooks, inbound_dedup_keys");
		return posts.call("post", { ...hook, url, count, parallel });
	};
	const rounds: Round[] = [];
	let limit = "";
	for (let round = 0; round <= (isQuick ? 2 : 4); round++) {
		const bare = await post(`${beside}/bare`);
		const plain = await post(`${beside}/insert`);
		const usage = await measureUsage(site, server);
		const ours = await post(hook.url);
		const used = await usage.stop();
		await mustHold(server, count);
		limit = `${costOf(used, count)}; ${sharesOf(used)}`;
		const figures = [ours, plain, bare].map(({ perSecond }) => Math.round(perSecond));
		say(`ingest: ${figures[0]} events/s, plain INSERT ${figures[1]}/s, bare route ${figures[2]}/s; ${limit}`);
		if (round > 0) rounds.push({ bare, plain, ours });
	}
	return rowsOf(rounds, limit);
}

/** Each event is there, once. */
async function mustHold(server: BenchServer, count: number): Promise<void> {
	const [row] = await server.sql<{ rows: number; keys: number }>(`select
		(select count(*)::int from inbound_webhooks) as rows, (select count(*)::int from inbound_dedup_keys) as keys`);
	if (row?.rows === count && row.keys === 2 * count) return;
	throw new Error(`Of ${count} events ${row?.rows} are stored, with ${row?.keys} keys.`);
}

function rowsOf(rounds: readonly Round[], limit: string): Row[] {
	const of = (pick: (round: Round) => number) => median(rounds.map(pick));
	const ours = of((round) => round.ours.perSecond);
	const line = (name: string, beside: keyof Round, goal: number | null): Row => {
		const ratio = of((round) => round.ours.perSecond / round[beside].perSecond);
		return {
			name: `ingest against ${name}`,
			measured: `${Math.round(ours)} events/s; ${Math.round(of((round) => round[beside].perSecond))}/s`,
			ratio,
			goal: goal === null ? "" : `≥ ${goal.toFixed(1)}`,
			isMet: goal === null ? null : ratio >= goal,
			limit: goal === null ? "" : limit,
		};
	};
	const p99 = (name: keyof Round) => of((round) => round[name].p99Ms);
	return [
		line("a bare route", "bare", null),
		line("one plain INSERT a request", "plain", 1),
		{
			name: `ingest p99 with ${parallel} requests at once`,
			measured: `${p99("ours").toFixed(1)} ms; plain INSERT ${p99("plain").toFixed(1)} ms, bare ${p99("bare").toFixed(1)} ms`,
			ratio: p99("ours") / p99("plain"),
			goal: "",
			isMet: null,
			limit: "",
		},
	];
}
