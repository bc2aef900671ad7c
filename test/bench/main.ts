// `npm run bench -- [case[:part]…] [--quick]`: each figure a ratio inside one run, on a throw-away Postgres.
import { apply } from "./apply.ts";
import { backfill } from "./backfill.ts";
import { backlog } from "./backlog.ts";
import type { Case, Row } from "./case.ts";
import { compare } from "./compare.ts";
import { deliver } from "./deliver.ts";
import { fair } from "./fair.ts";
import { history } from "./history.ts";
import { ingest } from "./ingest.ts";
import { latency } from "./latency.ts";
import { publish } from "./publish.ts";
import { table, writeResult } from "./report.ts";
import { openSite } from "./site.ts";
import { slow } from "./slow.ts";

const cases: Record<string, Case> = {
	deliver,
	latency,
	fair,
	backlog,
	history,
	publish,
	ingest,
	slow,
	backfill,
	apply,
	compare,
};

const given = process.argv.slice(2);
const isQuick = given.includes("--quick");
const wanted = given.filter((word) => !word.startsWith("--")).map((word) => word.split(":"));
const unknown = wanted.filter(([name = ""]) => !Object.hasOwn(cases, name));
if (unknown.length > 0) {
	process.stderr.write(`There is no case ${unknown[0]?.[0]}; there are ${Object.keys(cases).join(", ")}.\n`);
	process.exit(1);
}
const startedAt = performance.now();
const say = (line: string) => {
	process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
};
const opening = openSite();
let isInterrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
	process.on(signal, () => {
		if (isInterrupted) return;
		isInterrupted = true;
		void opening.then((open) => open.close(true)).finally(() => process.exit(130));
	});
}
const site = await opening;
const measured: Row[] = [];
try {
	for (const [name, run] of Object.entries(cases)) {
		const parts = wanted.filter(([word]) => word === name).flatMap(([, part]) => part ?? []);
		if (wanted.length > 0 && !wanted.some(([word]) => word === name)) continue;
		const beganAt = performance.now();
		const rows = await run({ site, isQuick, only: parts, say });
		const seconds = Math.round((performance.now() - beganAt) / 1000);
		measured.push(...rows);
		const isWhole = parts.length === 0 && !isQuick;
		if (isWhole) await writeResult({ name, rows, seconds }, Object.keys(cases), site.postgresVersion);
		say(`${name} took ${seconds} s`);
	}
} catch (error) {
	// A case that the interruption cut off is no failure; the process ends when all is put away.
	if (isInterrupted) await new Promise(() => undefined);
	throw error;
} finally {
	await site.close();
}
process.stdout.write(`\n${table(measured)}\n`);
