import { readFile, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import type { Row } from "./case.ts";

/** A whole case at full size, and how long it took. */
export type CaseRun = { name: string; rows: Row[]; seconds: number };

const file = new URL("./results.md", import.meta.url);
const begin = "<!-- figures: written by npm run bench -->";
const end = "<!-- end of figures -->";

export function table(rows: readonly Row[]): string {
	const lines = rows.map((row) => [
		row.name,
		row.measured,
		row.ratio === null ? "" : row.ratio.toFixed(2),
		row.goal,
		row.isMet === null ? "" : row.isMet ? "met" : "MISSED",
	]);
	const cells = [["case", "measured; beside it", "ratio", "goal", ""], ...lines];
	const widths = cells[0]?.map((_, at) => Math.max(...cells.map((line) => line[at]?.length ?? 0))) ?? [];
	return cells
		.map((line) =>
			line
				.map((cell, at) => cell.padEnd(widths[at] ?? 0))
				.join("  ")
				.trimEnd(),
		)
		.join("\n");
}

/** Puts a case's figures in the place of its former ones in results.md, and leaves the words around them. */
export async function writeResult(run: CaseRun, order: readonly string[], postgres: string): Promise<void> {
	const known = await readFile(file, "utf8");
	const before = known.slice(0, known.indexOf(begin) + begin.length);
	const sections = new Map<string, string>();
	for (const section of known.slice(before.length, known.indexOf(end)).split(/^### /m).slice(1)) {
		sections.set(section.slice(0, section.indexOf("\n")), section);
	}
	sections.set(run.name, await sectionOf(run, postgres));
	const figures = order.flatMap((name) => sections.get(name) ?? []).map((section) => `### ${section.trim()}`);
	await writeFile(file, `${before}\n\n${figures.join("\n\n")}\n\n${known.slice(known.indexOf(end))}`);
}

async function sectionOf({ name, rows, seconds }: CaseRun, postgres: string): Promise<string> {
	const [cpu] = cpus();
	const machine = `${cpu?.model.trim() ?? "unknown CPU"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}`;
	const versions = `Node ${process.versions.node}, Postgres ${postgres}, undici ${await versionOf("undici")}, pg-boss ${await versionOf("pg-boss")}`;
	const lines = rows.map(
		(row) =>
			`| ${row.name} | ${row.measured} | ${row.ratio?.toFixed(2) ?? ""} | ${row.goal} | ${row.isMet === null ? "" : row.isMet ? "met" : "**missed**"} |`,
	);
	const limits = rows.filter((row) => row.limit !== "").map((row) => `- ${row.name}: ${row.limit}`);
	return [
		name,
		"",
		`${new Date().toISOString().slice(0, 10)}, ${seconds} s. ${machine}, shared by server, Postgres, receiver and load. ${versions}.`,
		"",
		"| case | measured; beside it | ratio | goal | |",
		"|---|---|---|---|---|",
		...lines,
		...(limits.length > 0 ? ["", "What the time went into:", "", ...limits] : []),
	].join("\n");
}

async function versionOf(name: string): Promise<string> {
	const text = await readFile(new URL(`../../node_modules/${name}/package.json`, import.meta.url), "utf8");
	return JSON.parse(text).version;
}
