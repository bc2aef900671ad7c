import type { BossCommands } from "./boss-process.ts";
import type { Case, Row } from "./case.ts";
import type { Child } from "./child.ts";
import { median } from "./measure.ts";
import { fill, type Run, runBare, runEngine } from "./runs.ts";
import { addTenant, endpointUrls, payloadOf, type Tenant } from "./seed.ts";
import type { BenchServer, Site } from "./site.ts";
import { costOf, sharesOf } from "./usage.ts";

type Load = {
	name: string;
	title: string;
	endpoints: number;
	organizations: number;
	fanOut: number;
	goal: number;
};

const loads: Load[] = [
	{ name: "a", title: "one endpoint", endpoints: 1, organizations: 1, fanOut: 1, goal: 0.55 },
	{ name: "b", title: "1,000 endpoints", endpoints: 1000, organizations: 10, fanOut: 1, goal: 0.45 },
	{ name: "c", title: "3 endpoints an event", endpoints: 3, organizations: 1, fanOut: 3, goal: 0.45 },
];

const endpointConcurrency = 20;
const concurrency = 256;

/**
 * Deliveries a second, recorded, against the same signed POSTs with nothing recorded; and for the record the same
 * work through pg-boss, with one job for each delivery.
 */
export const deliver: Case = async ({ site, isQuick, only, say }) => {
	const deliveries = isQuick ? 9_900 : 49_800;
	const rounds = isQuick ? 3 : 5;
	const server = await site.openServer("deliver");
	const boss = await site.start<BossCommands>("boss", { env: { BENCH_DATABASE_URL: server.databaseUrl } });
	const rows: Row[] = [];
	for (const load of loads.filter((each) => only.length === 0 || only.includes(each.name))) {
		const tenants = await addTenants(site, server, load);
		const work = { tenants, deliveries, fanOut: load.fanOut };
		const measured: Measured[] = [];
		for (let round = 0; round <= rounds; round++) {
			const ceiling = await runBare(site, {
				urls: endpointUrls(site, "bare", load.endpoints),
				requests: deliveries,
				concurrency: Math.min(concurrency, load.endpoints * endpointConcurrency),
				body: payloadOf(1024),
			});
			const ours = await runEngine(site, [server], work);
			await fill(server, work);
			const jobs = await runBoss(boss, deliveries);
			const name = `deliver ${load.name}: ${round === 0 ? "warm-up" : `round ${round}`}`;
			const others = `ceiling ${Math.round(ceiling)}/s, pg-boss ${Math.round(jobs)}/s`;
			say(`${name}: ${Math.round(ours.perSecond)}/s, ${others}; ${costOf(ours.used, deliveries)}`);
			// The first warms all of them up: just-in-time code, connections, plans.
			if (round > 0) measured.push({ ...ours, ceiling, jobs });
		}
		rows.push(...rowsOf(load, deliveries, measured));
	}
	await boss.stop();
	await server.stop();
	return rows;
};

type Measured = Run & { ceiling: number; jobs: number };

function rowsOf(load: Load, deliveries: number, rounds: Measured[]): Row[] {
	const ratio = median(rounds.map((round) => round.perSecond / round.ceiling));
	const jobsRatio = median(rounds.map((round) => round.jobs / round.ceiling));
	const middle = rounds.toSorted((a, b) => a.perSecond - b.perSecond)[Math.floor(rounds.length / 2)];
	const ofRounds = (read: (round: Measured) => number) => Math.round(median(rounds.map(read)));
	const ceiling = `ceiling ${ofRounds((round) => round.ceiling)}/s`;
	return [
		{
			name: `deliver (${load.name}) ${load.title}`,
			measured: `${ofRounds((round) => round.perSecond)}/s; ${ceiling}`,
			ratio,
			goal: `≥ ${load.goal}`,
			isMet: ratio >= load.goal,
			limit: middle ? `${costOf(middle.used, deliveries)}; ${sharesOf(middle.used)}` : "",
		},
		{
			name: `deliver (${load.name}) through pg-boss \`work()\`, one job each`,
			measured: `${ofRounds((round) => round.jobs)}/s; ${ceiling}`,
			ratio: jobsRatio,
			goal: "for the record",
			isMet: null,
			limit: "",
		},
	];
}

async function addTenants(site: Site, server: BenchServer, load: Load): Promise<Tenant[]> {
	const urls = endpointUrls(site, "count", load.endpoints);
	const each = load.endpoints / load.organizations;
	const tenants: Tenant[] = [];
	for (let at = 0; at < load.organizations; at++) {
		const name = `deliver-${load.name}-${at}`;
		tenants.push(await addTenant(server, urls.slice(at * each, (at + 1) * each), name));
	}
	return tenants;
}

/** Deliveries a second through jobs. The endpoints stay held back, so that the engine leaves them alone. */
async function runBoss(boss: Child<BossCommands>, deliveries: number): Promise<number> {
	await boss.call("fill");
	const { ms, sent } = await boss.call("run");
	if (sent !== deliveries) throw new Error(`pg-boss sent ${sent} of ${deliveries} deliveries.`);
	return (deliveries / ms) * 1000;
}
