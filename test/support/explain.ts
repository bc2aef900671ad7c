import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import pg from "pg";
import type { Database, DatabasePool } from "../../src/platform/db.ts";

/** A node of a plan, as Postgres shows it in JSON. */
export type PlanNode = {
	"Node Type": string;
	/** As many as the planner expects. */
	"Plan Rows": number;
	"Relation Name"?: string;
	"Shared Hit Blocks"?: number;
	"Shared Read Blocks"?: number;
	"Actual Loops"?: number;
	/** In each loop. */
	"Rows Removed by Filter"?: number;
	"Rows Removed by Join Filter"?: number;
	Plans?: PlanNode[];
};

export type Explainer = {
	/** For a store: each of its queries is explained, and then run. */
	database: Database;
	/** The plans of the queries since the last call. */
	plans(): PlanNode[];
	close(): Promise<void>;
};

/** A connection that explains the queries of stores. */
export async function openExplainer(url: string): Promise<Explainer> {
	const client = new pg.Client({ connectionString: url });
	await client.connect();
	const found: PlanNode[] = [];
	const run = client.query.bind(client) as (query: unknown, values?: unknown) => Promise<pg.QueryResult>;
	client.query = (async (query: { text: string; values?: unknown[] }, values = query.values) => {
		const { rows } = await run(`explain (format json) ${query.text}`, values);
		found.push(rows[0]["QUERY PLAN"][0].Plan);
		return run(query, values);
	}) as never;
	return {
		database: {
			orm: drizzle({ client }),
			prepared: async (name, text, values) => (await client.query({ name, text, values })).rows,
		},
		plans: () => found.splice(0),
		close: () => client.end(),
	};
}

/**
 * What a named statement costs on this pool's own settings, in pages and in rows that are looked at for nothing, as
 * Postgres runs it after a few executions: planned once, without its values. It is executed for its plan alone, rolled
 * back, and returns nothing.
 */
export function measuring(pool: DatabasePool, found: { pages: number; wastedRows: number }[]): Database {
	return {
		orm: pool.orm,
		prepared: async (name, text, values) => {
			const call = `execute ${name}${values.length === 0 ? "" : `(${values.map(literal).join(", ")})`}`;
			await rolledBack(pool, async ({ orm }) => {
				await orm.execute(sql.raw("set local plan_cache_mode = force_generic_plan"));
				await orm.execute(sql.raw(`prepare ${name} as ${text}`));
				const { rows } = await orm.execute<{ "QUERY PLAN": { Plan: PlanNode }[] }>(
					sql.raw(`explain (analyze, buffers, format json) ${call}`),
				);
				const plan = rows[0]?.["QUERY PLAN"][0]?.Plan;
				await orm.execute(sql.raw(`deallocate ${name}`));
				found.push({
					pages: (plan?.["Shared Hit Blocks"] ?? 0) + (plan?.["Shared Read Blocks"] ?? 0),
					wastedRows: plan === undefined ? Number.NaN : wastedRowsOf(plan),
				});
			});
			return [];
		},
	};
}

function wastedRowsOf(plan: PlanNode): number {
	const removed = (node: PlanNode) =>
		(node["Rows Removed by Filter"] ?? 0) + (node["Rows Removed by Join Filter"] ?? 0);
	return nodesOf(plan).reduce((sum, node) => sum + removed(node) * (node["Actual Loops"] ?? 0), 0);
}

/** All nodes of a plan, the top one first. */
export function nodesOf(plan: PlanNode): PlanNode[] {
	return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}

async function rolledBack(pool: DatabasePool, work: (database: Database) => Promise<void>): Promise<void> {
	const enough = new Error("all that was wanted is known");
	const rolled = pool.transaction(async (database) => {
		await work(database);
		throw enough;
	});
	await rolled.catch((error: unknown) => {
		if (error !== enough) throw error;
	});
}

function literal(value: unknown): string {
	if (value === null || value === undefined) return "null";
	if (!Array.isArray(value)) return pg.escapeLiteral(String(value));
	const elements = value.map((each) => (each === null ? "null" : JSON.stringify(String(each))));
	return pg.escapeLiteral(`{${elements.join(",")}}`);
}
