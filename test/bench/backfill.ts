import type { Case, CaseInput, Row } from "./case.ts";
import { median, postgresCpuMs } from "./measure.ts";
import { type MirroredProject, openMirroredProject } from "./mirrored-project.ts";

/** Users a second from Clerk's pages into `capydb_auth`, against the same rows of `users` by one COPY; and memory. */
export const backfill: Case = async (input) => {
	const { site, only } = input;
	const project = await openMirroredProject(site, "backfill");
	const rows: Row[] = [];
	if (only.length === 0 || only.includes("rate")) rows.push(await measureRate(input, project));
	if (only.length === 0 || only.includes("memory")) rows.push(await measureMemory(input, project));
	await project.stop();
	return rows;
};

type Round = { perSecond: number; ceiling: number; note: string };

async function measureRate(input: CaseInput, project: MirroredProject): Promise<Row> {
	const users = input.isQuick ? 5_000 : 20_000;
	await project.clerk.call("have", users);
	const rounds: Round[] = [];
	for (let round = 0; round <= (input.isQuick ? 2 : 4); round++) {
		const ours = await fill(input, project, users);
		const ceiling = await copy(project, users);
		input.say(
			`backfill rate: ${round === 0 ? "warm-up" : `round ${round}`}: ${Math.round(ours.perSecond)} users/s, COPY ${Math.round(ceiling)}/s, ${ours.note}`,
		);
		if (round > 0) rounds.push({ ...ours, ceiling });
	}
	const ratio = median(rounds.map(({ perSecond, ceiling }) => perSecond / ceiling));
	return {
		name: "backfill",
		measured: `${Math.round(median(rounds.map(({ perSecond }) => perSecond)))} users/s; COPY ${Math.round(median(rounds.map(({ ceiling }) => ceiling)))}/s`,
		ratio,
		goal: "≥ 0.3",
		isMet: ratio >= 0.3,
		limit: rounds.at(-1)?.note ?? "",
	};
}

async function fill({ site }: CaseInput, project: MirroredProject, users: number) {
	await project.sql("drop schema capydb_auth cascade");
	await project.sql("checkpoint");
	const before = await project.server.child.call("usage");
	const storedBefore = postgresCpuMs(site.postmasterPid) ?? Number.NaN;
	const ms = await project.sync();
	const used = (await project.server.child.call("usage")).cpuMs - before.cpuMs;
	const stored = (postgresCpuMs(site.postmasterPid) ?? Number.NaN) - storedBefore;
	const perUser = (cpuMs: number) => `${((cpuMs * 1000) / users).toFixed(0)} µs`;
	return {
		perSecond: (users / ms) * 1000,
		note: `CPU a user: server ${perUser(used)}, Postgres ${perUser(stored)}`,
	};
}

/** From a file beside the database into a table of the same columns and indexes. */
async function copy({ sql }: MirroredProject, users: number): Promise<number> {
	const [{ folder } = { folder: "" }] = await sql<{ folder: string }>(
		"select current_setting('data_directory') as folder",
	);
	const file = `'${folder.replaceAll("'", "''")}/bench-users.copy'`;
	await sql(`copy capydb_auth.users to ${file}`);
	await sql("create table copied (like capydb_auth.users including all)");
	await sql("checkpoint");
	const startedAt = performance.now();
	await sql(`copy copied from ${file}`);
	const ms = performance.now() - startedAt;
	await sql("drop table copied");
	return (users / ms) * 1000;
}

/** The server's largest resident size while it reads few users, and while it reads many. */
async function measureMemory({ isQuick, say }: CaseInput, project: MirroredProject): Promise<Row> {
	const sizes = isQuick ? [5_000, 20_000] : [10_000, 200_000];
	const peaks: number[] = [];
	for (const users of sizes) {
		await project.clerk.call("have", users);
		await project.sql("drop schema capydb_auth cascade");
		await project.server.child.call("collectGarbage");
		peaks.push(await peakDuring(project, () => project.sync()));
		say(`backfill memory: ${users} users, at most ${megabytes(peaks.at(-1))} MB`);
	}
	const [few = 0, many = 0] = peaks;
	return {
		name: `backfill memory, ${sizes.map((users) => `${users / 1000}k`).join(" → ")} users`,
		measured: `${megabytes(many)} MB; ${megabytes(few)} MB`,
		ratio: many / few,
		goal: "≤ 1.25",
		isMet: many <= few * 1.25,
		limit: "",
	};
}

async function peakDuring({ server }: MirroredProject, work: () => Promise<unknown>): Promise<number> {
	let peak = 0;
	let isOver = false;
	const working = work().finally(() => {
		isOver = true;
	});
	while (!isOver) {
		peak = Math.max(peak, (await server.child.call("usage")).rssBytes);
		await new Promise((resolve) => setTimeout(resolve, 50));
	}
	await working;
	return peak;
}

function megabytes(bytes = 0): number {
	return Math.round(bytes / 2 ** 20);
}
