import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, mkdir, readdir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../core/errors.ts";
import { type DataDir, syncDir } from "./data-dir.ts";
import type { Binaries } from "./embedded-postgres-binaries.ts";
import type { SystemUser } from "./embedded-postgres-user.ts";

/** A cluster and how Postgres is to run on it. */
export type Cluster = {
	dir: string;
	logFile: string;
	url: string;
	binaries: Binaries;
	user: SystemUser | undefined;
	parameters: Record<string, string>;
	/** Throws when another program has the port. Asked once no Postgres of ours has it. */
	requireFreePort: () => Promise<void>;
};

type Making = {
	dataDir: DataDir;
	clusterDir: string;
	binaries: Binaries;
	user: SystemUser | undefined;
	password: string;
};

const draftPrefix = "initdb-";

/** True when the folder holds a cluster. Throws a sentence when it holds something else. */
export async function hasCluster(clusterDir: string): Promise<boolean> {
	const names = await namesIn(clusterDir);
	if (names.includes("PG_VERSION")) return true;
	if (names.length === 0) return false;
	throw new AppError(
		"unavailable",
		"embedded_postgres.foreign_folder",
		`The folder ${clusterDir} holds something that is not a Postgres cluster: move it away, or set DATA_DIR elsewhere.`,
	);
}

/**
 * Makes the cluster under another name and moves it into place when it is whole, so that a crash on the way
 * leaves nothing that looks like a cluster.
 */
export async function createCluster(making: Making): Promise<void> {
	const { dataDir, clusterDir, binaries, user, password } = making;
	// A new name each time: an initdb that outlived its server may still be writing into the last one.
	const draft = join(dataDir.path, `${draftPrefix}${randomBytes(6).toString("hex")}`);
	const draftCluster = join(draft, "cluster");
	const passwordFile = join(draft, "password");
	try {
		await mkdir(draft, { mode: 0o700 });
		await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
		if (user) {
			await chown(passwordFile, user.uid, user.gid);
			await chown(draft, user.uid, user.gid);
		}
		await runProgram(binaries.initdb, initdbArguments(draftCluster, passwordFile), user);
		await rm(passwordFile);
		await rmdir(clusterDir).catch(() => undefined);
		await rename(draftCluster, clusterDir);
		await syncDir(dataDir.path);
	} finally {
		await removeFolder(draft);
	}
}

/** Removes what a crash in the middle of `createCluster` left. */
export async function removeDrafts(dataDir: DataDir): Promise<void> {
	const names = await readdir(dataDir.path);
	const drafts = names.filter((name) => name.startsWith(draftPrefix));
	for (const name of drafts) await removeFolder(join(dataDir.path, name));
}

/** Postgres refuses a cluster that others can read, as copied ones often are. */
export async function closeToOthers(clusterDir: string): Promise<void> {
	const { mode } = await stat(clusterDir);
	if ((mode & 0o077) !== 0) await chmod(clusterDir, 0o700);
}

/** Runs one of Postgres's programs to its end as the user. Throws a sentence with what it wrote when it fails. */
export async function runProgram(path: string, args: string[], user: SystemUser | undefined): Promise<void> {
	const child = spawn(path, args, {
		...asUser(user),
		stdio: ["ignore", "ignore", "pipe"],
		// Ctrl-C reaches the terminal's whole group; the server stops in its own time.
		detached: true,
	});
	let complaint = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		complaint = (complaint + text).slice(-4000);
	});
	const { promise, resolve, reject } = Promise.withResolvers<{
		code: number | null;
		signal: string | null;
	}>();
	child.once("error", reject).once("close", (code, signal) => resolve({ code, signal }));
	const { code, signal } = await promise.catch((cause: unknown) => {
		throw cannotRun(path, cause);
	});
	if (code === 0) return;
	// Ctrl-C in the moment before it had left our group: it has not begun.
	if (signal === "SIGINT" && complaint === "") return runProgram(path, args, user);
	throw new AppError("unavailable", "embedded_postgres.failed", `${path} failed: ${complaint.trim()}`);
}

/**
 * How Postgres's programs are spawned. They get an environment of their own: ours holds secrets, and may hold
 * PG* variables that would change what they do.
 */
export function asUser(user: SystemUser | undefined): {
	env: Record<string, string>;
	cwd: string;
	uid?: number;
	gid?: number;
} {
	const env = { LC_ALL: "C", TZ: "UTC" };
	return user ? { env, cwd: "/", uid: user.uid, gid: user.gid } : { env, cwd: "/" };
}

export function cannotRun(path: string, cause: unknown): AppError {
	const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
	const sentence = `This machine cannot run the embedded Postgres, ${path}${code}: name a Postgres in DATABASE_URL.`;
	return new AppError("unavailable", "embedded_postgres.cannot_run", sentence, {
		cause,
	});
}

function initdbArguments(clusterDir: string, passwordFile: string): string[] {
	return [
		`--pgdata=${clusterDir}`,
		`--pwfile=${passwordFile}`,
		"--username=postgres",
		"--auth=scram-sha-256",
		"--encoding=UTF8",
		"--locale=C",
		"--locale-provider=builtin",
		"--builtin-locale=C.UTF-8",
		"--no-instructions",
	];
}

async function removeFolder(path: string): Promise<void> {
	await rm(path, {
		recursive: true,
		force: true,
		maxRetries: 10,
		retryDelay: 50,
	});
}

async function namesIn(path: string): Promise<string[]> {
	try {
		return await readdir(path);
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
		throw error;
	}
}
