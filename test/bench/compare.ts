import pg from "pg";
import type { Case, CaseInput, Row } from "./case.ts";
import { median } from "./measure.ts";
import { type Run, runBare, runEngine, type Work } from "./runs.ts";
import { addTenant, payloadOf } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { costOf } from "./usage.ts";

/** Another way to run what `deliver a` runs. */
type Variant = {
	name: string;
	title: string;
	env?: Record<string, string>;
	replicas?: number;
	isSecure?: true;
};

const usual: Variant = { name: "usual", title: "as shipped" };

const variants: Variant[] = [
	{ name: "window1", title: "results gathered for 1 ms", env: { BENCH_SETTLE_WINDOW_MS: "1" } },
	{ name: "window20", title: "results gathered for 20 ms", env: { BENCH_SETTLE_WINDOW_MS: "20" } },
	{ name: "unprepared", title: "statements not prepared", env: { BENCH_UNPREPARED: "1" } },
	{ name: "wide", title: "200 in flight to the endpoint", env: { WEBHOOK_ENDPOINT_CONCURRENCY: "200" } },
	{ name: "replicas", title: "two loops: two replicas on one database", replicas: 2 },
	{ name: "tls", title: "a receiver with TLS", isSecure: true },
];

type World = { servers: [BenchServer, ...BenchServer[]]; work: Work };

/** For the record: what the engine's choices gain, each in rounds that alternate with the server as it is shipped. */
export const compare: Case = async (input) => {
	const isWanted = (name: string) => input.only.length === 0 || input.only.includes(name);
	const shipped = await openWorld(input, usual);
	const rows: Row[] = [];
	for (const variant of variants.filter(({ name }) => isWanted(name))) {
		const other = await openWorld(input, variant);
		rows.push(...(await alternate(input, variant, shipped, other)));
		for (const server of other.servers) await server.stop();
	}
	if (isWanted("rows")) rows.push(await compareInserts(shipped.servers[0], input.isQuick ? 20 : 100));
	await shipped.servers[0].stop();
	return rows;
};

async function openWorld({ site, isQuick }: CaseInput, variant: Variant): Promise<World> {
	const open = () => site.openServer(`compare_${variant.name}`, variant.env);
	const servers: World["servers"] = [await open()];
	while (servers.length < (variant.replicas ?? 1)) servers.push(await open());
	const url = variant.isSecure ? site.secureUrlOf("count/0") : site.urlOf("count/0");
	const tenants = [await addTenant(servers[0], [url])];
	return { servers, work: { tenants, deliveries: isQuick ? 6_000 : 24_000, fanOut: 1 } };
}

type Round = { shipped: Run; other: Run; secureCeiling: number };

async function alternate(
	input: CaseInput,
	{ title, isSecure }: Variant,
	shipped: World,
	other: World,
): Promise<Row[]> {
	const rounds: Round[] = [];
	for (let round = 0; round <= (input.isQuick ? 2 : 3); round++) {
		const measured = {
			shipped: await runEngine(input.site, shipped.servers, shipped.work),
			other: await runEngine(input.site, other.servers, other.work),
			secureCeiling: isSecure ? await secureCeiling(input) : Number.NaN,
		};
		const rates = [measured.other, measured.shipped].map(({ perSecond }) => Math.round(perSecond));
		say(input, title, rates, measured.other, other.work);
		// The first warms both up.
		if (round > 0) rounds.push(measured);
	}
	const rows = [rowOf(title, other.work, rounds)];
	return isSecure ? [...rows, ceilingRow(rounds)] : rows;
}

function say(input: CaseInput, title: string, rates: number[], { used }: Run, { deliveries }: Work): void {
	input.say(`compare: ${title}: ${rates[0]}/s, as shipped ${rates[1]}/s; ${costOf(used, deliveries)}`);
}

function secureCeiling({ site, isQuick }: CaseInput): Promise<number> {
	const urls = [site.secureUrlOf("bare/0")];
	return runBare(site, { urls, requests: isQuick ? 6_000 : 24_000, concurrency: 20, body: payloadOf(1024) });
}

function rowOf(title: string, { deliveries }: Work, rounds: Round[]): Row {
	const rate = (way: "shipped" | "other") => Math.round(median(rounds.map((round) => round[way].perSecond)));
	const cost = (way: "shipped" | "other") => costOf((rounds.at(-1) as Round)[way].used, deliveries);
	return {
		name: `compare: ${title}`,
		measured: `${rate("other")}/s; as shipped ${rate("shipped")}/s`,
		ratio: median(rounds.map((round) => round.other.perSecond / round.shipped.perSecond)),
		goal: "for the record",
		isMet: null,
		limit: `${cost("other")}; as shipped ${cost("shipped")}`,
	};
}

function ceilingRow(rounds: Round[]): Row {
	const rate = Math.round(median(rounds.map((round) => round.other.perSecond)));
	return {
		name: "compare: deliver (a) over TLS against its ceiling over TLS",
		measured: `${rate}/s; ceiling ${Math.round(median(rounds.map((round) => round.secureCeiling)))}/s`,
		ratio: median(rounds.map((round) => round.other.perSecond / round.secureCeiling)),
		goal: "for the record",
		isMet: null,
		limit: "",
	};
}

const rowsAtOnce = 200;
const columns = ["organization_id", "id", "number", "at", "status", "headers", "body"];
const types = ["uuid", "uuid", "int", "timestamptz", "int", "jsonb", "text"];

/** Attempts written as one array for each column, against a row of parameters for each attempt. */
async function compareInserts(server: BenchServer, times: number): Promise<Row> {
	await server.sql(
		`create table bench_rows (${columns.map((name, at) => `${name} ${types[at]}`).join(", ")})`,
	);
	const client = new pg.Client(server.databaseUrl);
	await client.connect();
	const arrays = types.map((type, at) => `$${at + 1}::${type}[]`).join(", ");
	const tuples = Array.from(
		{ length: rowsAtOnce },
		(_, row) => `(${types.map((type, at) => `$${row * types.length + at + 1}::${type}`).join(", ")})`,
	);
	const ways = {
		arrays: {
			text: `insert into bench_rows select * from unnest(${arrays})`,
			values: (rows: unknown[][]) => types.map((_, at) => rows.map((row) => row[at])),
		},
		tuples: {
			text: `insert into bench_rows values ${tuples.join(", ")}`,
			values: (rows: unknown[][]) => rows.flat(),
		},
	};
	const write = async (name: keyof typeof ways): Promise<number> => {
		const startedAt = performance.now();
		for (let time = 0; time < times; time++) {
			const rows = Array.from({ length: rowsAtOnce }, attemptRow);
			await client.query({ name, text: ways[name].text, values: ways[name].values(rows) });
		}
		return ((times * rowsAtOnce) / (performance.now() - startedAt)) * 1000;
	};
	const rounds: { arrays: number; tuples: number }[] = [];
	for (let round = 0; round <= 5; round++) {
		const measured = { arrays: await write("arrays"), tuples: await write("tuples") };
		if (round > 0) rounds.push(measured);
	}
	await client.end();
	return {
		name: "compare: rows written through `unnest` against a tuple for each",
		measured: `${Math.round(median(rounds.map((round) => round.arrays)))}/s; ${Math.round(median(rounds.map((round) => round.tuples)))}/s`,
		ratio: median(rounds.map((round) => round.arrays / round.tuples)),
		goal: "for the record",
		isMet: null,
		limit: "",
	};
}

function attemptRow(): unknown[] {
	const headers = JSON.stringify([["date", "Sat, 21 Nov 2026 00:00:00 GMT"]]);
	return [crypto.randomUUID(), crypto.randomUUID(), 1, new Date(), 204, headers, ""];
}
