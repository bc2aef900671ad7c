// `npm run crash -- [--rounds 1] [--seconds 60] [--seed 1] [--logs folder]`: real servers are killed under load, and all
// is counted.
import { spawnSync } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { faultsOf, type Round, runRound } from "./round.ts";
import { openGround } from "./site.ts";

const { values } = parseArgs({
	options: {
		rounds: { type: "string", default: "1" },
		seconds: { type: "string", default: "60" },
		seed: { type: "string", default: "1" },
		logs: { type: "string" },
	},
});
const [rounds, seconds, seed] = [values.rounds, values.seconds, values.seed].map(Number);
if (!rounds || !seconds || !Number.isInteger(seed) || seed === undefined) {
	process.stderr.write("--rounds, --seconds and --seed are whole numbers.\n");
	process.exit(1);
}
const shownMax = 20;

process.stdout.write(`Commit ${commit()}.\n\n`);
const ground = await openGround();
let isInterrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
	process.on(signal, () => {
		if (isInterrupted) return;
		isInterrupted = true;
		// Servers that still run end with this process.
		void ground.close().finally(() => process.exit(130));
	});
}
const played: Round[] = [];
try {
	for (let at = 0; at < rounds; at += 1) {
		const round = await runRound(ground, { seed: seed + at, seconds });
		played.push(round);
		process.stdout.write(`${at === 0 ? head() : ""}${line(round)}\n`);
		const faults = faultsOf(round);
		for (const fault of faults.slice(0, shownMax)) process.stderr.write(`  ${fault}\n`);
		if (faults.length > 0) process.exitCode = 1;
		if (values.logs !== undefined) await writeLogs(values.logs, round);
	}
} finally {
	if (!isInterrupted) await ground.close();
}

/** What the servers run: of a working copy with changes, `-dirty` too. */
function commit(): string {
	const cwd = import.meta.dirname;
	const { status, stdout } = spawnSync("git", ["describe", "--always", "--dirty", "--exclude=*"], { cwd });
	return status === 0 ? stdout.toString().trim() : "unknown";
}

async function writeLogs(folder: string, { seed, outputs }: Round): Promise<void> {
	await mkdir(folder, { recursive: true });
	for (const [name, text] of Object.entries(outputs)) {
		await writeFile(join(folder, `${seed}-${name}.log`), text);
	}
}

function head(): string {
	const names = [
		...["seed", "kills", "events", "deliveries", "webhooks", "connections", "calls repeated"],
		...["lost", "duplicated", "held at kills", "stuck", "resume p50", "resume max"],
	];
	return `| ${names.join(" | ")} |\n|${"---|".repeat(names.length)}\n`;
}

function line(round: Round): string {
	const { resumeMs } = round;
	const cells = [
		...[round.seed, round.kills, round.events, round.deliveries, round.webhooks, round.connections],
		...[round.repeated, round.lost.length, round.duplicated, round.held, round.stuck.length],
		`${resumeMs[Math.floor(resumeMs.length / 2)] ?? 0} ms`,
		`${resumeMs.at(-1) ?? 0} ms`,
	];
	return `| ${cells.join(" | ")} |`;
}
