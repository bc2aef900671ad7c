import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, chmod, link, mkdir, open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { AppError } from "../core/errors.ts";

/** The folder that keeps what must survive a restart. `path` is absolute and free of symbolic links. */
export type DataDir = { path: string };

/** Creates the folder when it is missing. Throws a sentence when it is not a folder that we can write to. */
export async function openDataDir(path: string): Promise<DataDir> {
	const absolute = resolve(path);
	try {
		// Root's embedded Postgres runs as another user, who has to pass through to the cluster.
		await mkdir(absolute, {
			recursive: true,
			mode: process.geteuid?.() === 0 ? 0o711 : 0o700,
		});
		const real = await realpath(absolute);
		if (!(await stat(real)).isDirectory()) throw new Error("not a folder");
		await access(real, constants.R_OK | constants.W_OK | constants.X_OK);
		return { path: real };
	} catch (cause) {
		throw unusable(absolute, cause);
	}
}

/**
 * The trimmed content of a small file in the folder, readable to its owner alone. When it is missing it is
 * written with what `make` returns, durably and all at once: of several writers one wins, all return the
 * same, and a crash leaves either no file or the whole.
 */
export async function readOrCreateFile(dataDir: DataDir, name: string, make: () => string): Promise<string> {
	const existing = await readKeptFile(dataDir, name);
	if (existing !== undefined) return existing;
	const path = join(dataDir.path, name);
	const draft = `${path}.${randomBytes(6).toString("hex")}.new`;
	try {
		await writeDurably(draft, `${make()}\n`);
		await publish(draft, path);
	} finally {
		await rm(draft, { force: true });
	}
	await syncDir(dataDir.path);
	const kept = await readKeptFile(dataDir, name);
	if (kept === undefined) throw new Error(`The file ${path} vanished while it was being written.`);
	return kept;
}

/** The trimmed content of a file in the folder, or undefined when there is none. An empty file is refused. */
export async function readKeptFile(dataDir: DataDir, name: string): Promise<string | undefined> {
	const path = join(dataDir.path, name);
	try {
		const content = (await readFile(path, "utf8")).trim();
		if (content !== "") return content;
	} catch (error) {
		if (codeOf(error) === "ENOENT") return undefined;
		throw error;
	}
	throw new AppError(
		"unavailable",
		"data_dir.file_empty",
		`The file ${path} is empty: restore it from a backup, or remove it if nothing depends on it.`,
	);
}

/**
 * Takes the folder for this process and returns what gives it back. Throws a sentence when another process
 * has it. The lock is one that the operating system keeps (SQLite takes it, on a file that never holds
 * anything), so that it ends with its process however that ends, and no stale lock has to be recognized.
 */
export async function lockDataDir(dataDir: DataDir): Promise<() => void> {
	const path = join(dataDir.path, "lock");
	let file: DatabaseSync | undefined;
	try {
		file = new DatabaseSync(path, { timeout: 0 });
		// By path and never through a descriptor: closing one would drop the process's lock on the file.
		await chmod(path, 0o600);
		file.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
	} catch (cause) {
		file?.close();
		throw isBusy(cause) ? locked(dataDir.path, cause) : unusable(path, cause);
	}
	const held = file;
	return () => {
		if (held.isOpen) held.close();
	};
}

/** Makes the names in a folder durable. Windows does so by itself and refuses to sync folders. */
export async function syncDir(path: string): Promise<void> {
	if (process.platform === "win32") return;
	const dir = await open(path, "r");
	try {
		await dir.sync();
	} finally {
		await dir.close();
	}
}

async function writeDurably(path: string, content: string): Promise<void> {
	const file = await open(path, "wx", 0o600);
	try {
		await file.writeFile(content);
		await file.sync();
	} finally {
		await file.close();
	}
}

async function publish(draft: string, path: string): Promise<void> {
	try {
		await link(draft, path);
	} catch (error) {
		if (codeOf(error) === "EEXIST") return;
		// Some mounted folders know no hard links; there the last of several writers wins.
		await rename(draft, path);
	}
}

function unusable(path: string, cause: unknown): AppError {
	const reason = codeOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
	const sentence = `${path} cannot be used (${reason}): set DATA_DIR to a folder that this user can write to.`;
	return new AppError("unavailable", "data_dir.unusable", sentence, { cause });
}

function locked(path: string, cause: unknown): AppError {
	const sentence = `Another server is already running on the data folder ${path}: stop it first, or set DATA_DIR to another folder.`;
	return new AppError("unavailable", "data_dir.locked", sentence, { cause });
}

function isBusy(error: unknown): boolean {
	const SQLITE_BUSY = 5;
	return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}

function codeOf(error: unknown): string | undefined {
	return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
