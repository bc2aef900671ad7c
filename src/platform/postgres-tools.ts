import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { getCACertificates } from "node:tls";
import type { AddressGuard } from "./address-guard.ts";
import { PostgresToolError } from "./postgres-tools-errors.ts";
import { judgedAddresses, type ProjectDatabaseTarget } from "./project-connection.ts";
import { runPipe, runTool, type ToolEnd } from "./tool-process.ts";

export type PostgresTools = {
	/** The major version of `pg_dump`; null when it or `pg_restore` is missing or does not run. */
	findMajor(): Promise<number | null>;
	/**
	 * Copies one database into another, empty one: schema and rows, without owners, grants, publications and
	 * subscriptions. Nothing is kept on disk. When it throws, what it has made so far stays. Throws a
	 * PostgresToolError; when aborted, the reason of the signal.
	 */
	copyDatabase(copy: {
		from: ProjectDatabaseTarget;
		to: ProjectDatabaseTarget;
		signal: AbortSignal;
	}): Promise<void>;
};

type Options = {
	/** A path; null takes both tools from the search path. */
	pgDump: string | null;
	searchPath: string;
	guard: Pick<AddressGuard, "resolve">;
};

const versionTimeoutMs = 10_000;
const copyTimeoutMs = 4 * 3_600_000;

const leftOut = ["--no-owner", "--no-acl", "--no-publications", "--no-subscriptions", "--no-security-labels"];
const dumpFlags = [
	"--format=custom",
	"--compress=0",
	"--lock-wait-timeout=60s",
	"--no-tablespaces",
	...leftOut,
];
const restoreFlags = ["--format=custom", "--no-tablespaces", ...leftOut];

/** The adapter of Postgres's own client programs. */
export function createPostgresTools({ pgDump, searchPath, guard }: Options): PostgresTools {
	const dump = pgDump ?? "pg_dump";
	const restore = pgDump === null ? "pg_restore" : join(dirname(pgDump), "pg_restore");
	return {
		findMajor: async () => {
			const majors = await Promise.all([dump, restore].map((tool) => majorOf(tool, searchPath)));
			return majors.includes(null) ? null : Math.min(...majors.map(Number));
		},
		copyDatabase: async ({ from, to, signal }) => {
			const folder = await mkdtemp(join(tmpdir(), "capydb-copy-"));
			try {
				const [fromEnv, toEnv] = await Promise.all(
					[from, to].map((target) => environmentOf(target, { folder, searchPath, guard })),
				);
				const ends = await runPipe(
					{ command: dump, args: [...dumpFlags, "--no-password"], env: fromEnv ?? {} },
					{
						command: restore,
						args: [...restoreFlags, "--no-password", "--dbname", to.database],
						env: toEnv ?? {},
					},
					AbortSignal.any([signal, AbortSignal.timeout(copyTimeoutMs)]),
				);
				signal.throwIfAborted();
				judge(ends);
			} finally {
				await rm(folder, { recursive: true, force: true });
			}
		},
	};
}

async function majorOf(tool: string, searchPath: string): Promise<number | null> {
	const run = { command: tool, args: ["--version"], env: { PATH: searchPath, LC_ALL: "C" } };
	const { exitCode, output } = await runTool(run, AbortSignal.timeout(versionTimeoutMs));
	const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
	return exitCode === 0 && major !== undefined ? Number(major) : null;
}

type Surroundings = { folder: string; searchPath: string; guard: Pick<AddressGuard, "resolve"> };

/**
 * What libpq goes by (https://www.postgresql.org/docs/current/libpq-envars.html), and nothing of ours: arguments are
 * seen by everybody on the machine, and the files that libpq looks for in a home must not be found.
 */
async function environmentOf(
	target: ProjectDatabaseTarget,
	{ folder, searchPath, guard }: Surroundings,
): Promise<Record<string, string>> {
	const verifies = target.sslMode === "verify-ca" || target.sslMode === "verify-full";
	return {
		PATH: searchPath,
		LC_ALL: "C",
		HOME: folder,
		PGSYSCONFDIR: folder,
		PGPASSFILE: join(folder, "none"),
		PGAPPNAME: "capydb",
		PGCONNECT_TIMEOUT: "10",
		PGGSSENCMODE: "disable",
		PGUSER: target.user,
		PGPASSWORD: target.password,
		PGDATABASE: target.database,
		PGSSLMODE: target.sslMode,
		...(verifies ? { PGSSLROOTCERT: await writeRoots(folder) } : {}),
		...(target.options === null ? {} : { PGOPTIONS: target.options }),
		...(target.isTenantNamed ? await judgedHost(target, guard) : { PGHOST: target.host }),
		PGPORT: String(target.port),
	};
}

/** The addresses that were judged are the ones connected to; the name is for the certificate. */
async function judgedHost(
	target: ProjectDatabaseTarget,
	guard: Pick<AddressGuard, "resolve">,
): Promise<{ PGHOST: string; PGHOSTADDR: string }> {
	const addresses = (await judgedAddresses(target.host, guard)).slice(0, 2);
	return { PGHOST: addresses.map(() => target.host).join(","), PGHOSTADDR: addresses.join(",") };
}

/** The roots that this process trusts, so that the tools judge a certificate as our own connections do. */
async function writeRoots(folder: string): Promise<string> {
	const path = join(folder, "roots.pem");
	await writeFile(path, getCACertificates("default").join("\n"));
	return path;
}

/** When one end of a pipe breaks, the other ends too: the one that has a reason of its own is the one to tell of. */
function judge({ source, sink }: { source: ToolEnd; sink: ToolEnd }): void {
	const hasReason = ({ complaints }: ToolEnd) => complaints.some(({ isEcho }) => !isEcho);
	const isDumpAtFault = source.exitCode !== 0 && (hasReason(source) || !hasReason(sink));
	if (isDumpAtFault) throw failureOf("pg_dump", source);
	// After errors pg_restore goes on and ends with 1, also when it had only such as lose nothing.
	const isWhole = sink.exitCode === 0 || (sink.exitCode === 1 && sink.harmless > 0);
	if (source.exitCode !== 0 || !isWhole || sink.complaints.length > 0) throw failureOf("pg_restore", sink);
}

function failureOf(tool: string, { exitCode, complaints }: ToolEnd): PostgresToolError {
	return new PostgresToolError(tool, {
		exitCode,
		complaints: complaints.map(({ text }) => text),
		isPassing: complaints.length === 0 || complaints.some((complaint) => complaint.isPassing),
	});
}
