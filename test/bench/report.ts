import { readFile, writeFile } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import type { Row } from "./case.ts";

type Run = {
	rows: Row[];
	/** How long each case took. */
	seconds: Record<string, number>;
	isQuick: boolean;
	isWhole: boolean;
	postgres: string;
};

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

/**
 * Writes the figures of a whole run at full size into results.md, and leaves the words around them. Any other run
 * is only printed.
 */
export async function writeResults(run: Run): Promise<void> {
	if (run.isQuick || !run.isWhole) {
		process.stdout.write("\nresults.md stays as it is: it holds whole runs at full size.\n");
		return;
	}
	const known = await readFile(file, "utf8").catch(() => `# Results\n\n${begin}\n${end}\n`);
	const before = known.slice(0, known.indexOf(begin) + begin.length);
	const after = known.slice(known.indexOf(end));
	await writeFile(file, `${before}\n\n${await figures(run)}\n\n${after}`);
}

async function figures({ rows, seconds, postgres }: Run): Promise<string> {
	const [cpu] = cpus();
	const took = Object.entries(seconds).map(([name, each]) => `${name} ${each} s`);
	const head = [
		`- **Date**: ${new Date().toISOString().slice(0, 10)}`,
		`- **Machine**: ${cpu?.model.trim() ?? "unknown CPU"}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform}. Server, Postgres, receiver and load share it.`,
		`- **Versions**: Node ${process.versions.node}, Postgres ${postgres}, undici ${await versionOf("undici")}, pg-boss ${await versionOf("pg-boss")}`,
		`- **Time**: ${took.join(", ")}`,
	];
	const lines = rows.map(
		(row) =>
			`| ${row.name} | ${row.measured} | ${row.ratio?.toFixed(2) ?? ""} | ${row.goal} | ${row.isMet === null ? "" : row.isMet ? "met" : "**missed**"} |`,
	);
	const limited = rows.filter((row) => row.limit !== "");
	const limits = limited.map((row) => `- ${row.name}: ${row.limit}`);
	return [
		...head,
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
