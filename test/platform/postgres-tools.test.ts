import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createPostgresTools, type PostgresTools } from "../../src/platform/postgres-tools.ts";
import type { ProjectDatabaseTarget } from "../../src/platform/project-connection.ts";
import { until } from "../support/until.ts";

const folders: string[] = [];

afterEach(async () => {
	for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

type Scripts = { dump?: string; restore?: string; version?: string };

/** Programs in place of Postgres's own that answer `--version` and else do as their shell lines say. */
async function toolsThat({ dump = "echo archive", restore = "cat > /dev/null", version = "18.1" }: Scripts) {
	const folder = await mkdtemp(join(tmpdir(), "capydb-tools-"));
	folders.push(folder);
	for (const [name, does] of Object.entries({ pg_dump: dump, pg_restore: restore })) {
		const path = join(folder, name);
		const head = `if [ "$1" = --version ]; then echo "${name} (PostgreSQL) ${version}"; exit 0; fi`;
		await writeFile(path, `#!/bin/sh\n${head}\nfolder='${folder}'\n${does}\n`);
		await chmod(path, 0o755);
	}
	return { folder, tools: toolsAt(join(folder, "pg_dump")) };
}

function toolsAt(pgDump: string | null, searchPath = "/usr/bin:/bin"): PostgresTools {
	return createPostgresTools({ pgDump, searchPath, guard: createAddressGuard({ allow: ["127.0.0.0/8"] }) });
}

const target: ProjectDatabaseTarget = {
	host: "127.0.0.1",
	port: 5432,
	user: "me",
	password: "se cret'",
	database: "mine",
	sslMode: "prefer",
	options: null,
	isTenantNamed: false,
};

function copy(tools: PostgresTools, signal = new AbortController().signal): Promise<unknown> {
	return tools
		.copyDatabase({ from: target, to: { ...target, database: "copy" }, signal })
		.catch((error) => error);
}

/** A script's line that complains as pg_restore does. */
const complain = (...lines: string[]) => lines.map((line) => `echo '${line}' >&2`).join("\n");
const failedQuery = "pg_restore: error: could not execute query: ERROR:  ";

describe("the tools of Postgres", () => {
	it.each([
		["18.1", 18],
		["15.18 (Debian 15.18-0+deb12u1)", 15],
		["19beta2", 19],
	])("of version %s have the major version %i", async (version, major) => {
		const { tools } = await toolsThat({ version });
		expect(await tools.findMajor()).toBe(major);
	});

	it("are found on the search path when no path is named", async () => {
		const { folder } = await toolsThat({ version: "17.0" });
		expect(await toolsAt(null, folder).findMajor()).toBe(17);
	});

	it("are not there when either is missing, does not run or is something else", async () => {
		expect(await toolsAt("/nowhere/pg_dump").findMajor()).toBeNull();
		expect(await toolsAt(null, "/nowhere").findMajor()).toBeNull();
		const { folder, tools } = await toolsThat({});
		await chmod(join(folder, "pg_restore"), 0o644);
		expect(await tools.findMajor()).toBeNull();
		const other = await toolsThat({ version: "strange" });
		expect(await other.tools.findMajor()).toBeNull();
	});
});

describe("copying a database", () => {
	it("gives the tools where and as whom by variables, and nothing else of ours", async () => {
		const show = (name: string) => `env | sort > $folder/${name}.env; echo "$@" > $folder/${name}.args`;
		const { folder, tools } = await toolsThat({
			dump: `${show("dump")}; echo archive`,
			restore: `${show("restore")}; cat > $folder/received`,
		});
		const signal = new AbortController().signal;
		const from = {
			...target,
			sslMode: "verify-full",
			options: "endpoint=ep-1",
			isTenantNamed: true,
		} as const;
		await tools.copyDatabase({ from, to: { ...target, database: "copy" }, signal });
		const read = (name: string) => readFile(join(folder, name), "utf8");
		expect(await read("received")).toBe("archive\n");
		const dumpEnv = await read("dump.env");
		for (const line of [
			"PGPASSWORD=se cret'",
			"PGUSER=me",
			"PGDATABASE=mine",
			"PGHOST=127.0.0.1",
			"PGHOSTADDR=127.0.0.1",
			"PGSSLMODE=verify-full",
			"PGOPTIONS=endpoint=ep-1",
		]) {
			expect(dumpEnv.split("\n")).toContain(line);
		}
		expect(dumpEnv).toMatch(/^PGSSLROOTCERT=.*roots\.pem$/m);
		expect(await read("restore.env")).not.toMatch(/^(PGHOSTADDR|PGOPTIONS|PGSSLROOTCERT)=/m);
		const ours = Object.keys(process.env).filter(
			(name) => !/^(PATH|HOME|LC_ALL|PWD|SHLVL|_|OLDPWD)$/.test(name),
		);
		const names = dumpEnv.split("\n").map((line) => line.split("=")[0] ?? "");
		expect(names.filter((name) => ours.includes(name) && !name.startsWith("PG"))).toEqual([]);
		expect(`${await read("dump.args")}${await read("restore.args")}`).not.toMatch(/cret|5432|127/);
		const left = (await readdir(tmpdir())).filter((name) => name.startsWith("capydb-copy-"));
		expect(left).not.toContain(/^PGSSLROOTCERT=.*\/(capydb-copy-[^/]+)\//m.exec(dumpEnv)?.[1]);
	});

	it("is whole when pg_restore had only errors that lose nothing", async () => {
		const harmless = complain(
			`${failedQuery}unrecognized configuration parameter "transaction_timeout"`,
			`${failedQuery}must be owner of schema public`,
			"Command was: COMMENT ON SCHEMA public",
			"pg_restore: warning: errors ignored on restore: 2",
		);
		const { tools } = await toolsThat({ restore: `cat > /dev/null\n${harmless}\nexit 1` });
		expect(await copy(tools)).toBeUndefined();
	});

	it.each([
		["ends with 1 and says nothing", "cat > /dev/null; exit 1", [], true],
		[
			"ends with another code after harmless errors",
			`cat > /dev/null; ${complain(`${failedQuery}must be owner of schema public`)}; exit 3`,
			[],
			true,
		],
		[
			"had an error beside a harmless one",
			`cat > /dev/null\n${complain(`${failedQuery}must be owner of schema public`, `${failedQuery}permission denied to create extension "dblink"`)}\nexit 1`,
			['permission denied to create extension "dblink"'],
			false,
		],
		["was killed", "kill -9 $$", [], true],
	])("fails when pg_restore %s", async (_what, restore, complaints, isPassing) => {
		const { tools } = await toolsThat({ restore });
		expect(await copy(tools)).toMatchObject({ name: "PostgresToolError", complaints, isPassing });
		expect(String(await copy(tools))).toContain("pg_restore failed");
	});

	it("tells of the tool that broke first, by its exit code", async () => {
		const broken = await toolsThat({
			dump: `echo part; ${complain("pg_dump: error: query failed: ERROR:  permission denied for table secret")}; exit 1`,
			restore: `cat > /dev/null; ${complain("pg_restore: error: could not read from input file: end of file")}; exit 1`,
		});
		expect(await copy(broken.tools)).toMatchObject({
			exitCode: 1,
			complaints: ["permission denied for table secret"],
			message: "pg_dump failed with exit code 1: permission denied for table secret.",
		});
		const refused = await toolsThat({
			dump: "yes",
			restore: `${complain('pg_restore: error: connection to server at "10.1.2.3", port 5432 failed: Connection refused')}; exit 1`,
		});
		const failure = await copy(refused.tools);
		expect(failure).toMatchObject({ isPassing: true, complaints: ["could not connect"] });
		expect(String(failure)).toContain("pg_restore");
	});

	it("shows nothing that may come out of a row", async () => {
		const said = complain(
			`${failedQuery}invalid input syntax for type integer: "4111 1111"`,
			`pg_restore: error: COPY failed for table "t": ERROR:  duplicate key value violates unique constraint "t_pkey"`,
			"DETAIL:  Key (email)=(ada@example.com) already exists.",
			"CONTEXT:  COPY t, line 1: ada@example.com",
		);
		const { tools } = await toolsThat({ restore: `cat > /dev/null\n${said}\nexit 1` });
		const failure = (await copy(tools)) as { complaints: string[]; message: string };
		expect(failure.complaints).toHaveLength(2);
		expect(JSON.stringify(failure.complaints) + failure.message).not.toMatch(/4111|ada|email/);
	});

	it("ends both tools when it is aborted, also one that does not listen, and throws the reason", async () => {
		const stubborn = "trap '' TERM; echo $$ > $folder/pid; while :; do sleep 0.1; done";
		const { folder, tools } = await toolsThat({ dump: stubborn, restore: "cat > /dev/null" });
		const stop = new AbortController();
		const copying = copy(tools, stop.signal);
		await until(async () => (await readdir(folder)).includes("pid"));
		const reason = new Error("stopped");
		stop.abort(reason);
		expect(await copying).toBe(reason);
		const pid = Number(await readFile(join(folder, "pid"), "utf8"));
		expect(() => process.kill(pid, 0)).toThrow("ESRCH");
	});
});
