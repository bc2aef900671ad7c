import { chmod, chown, lstat, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";

/** The system user that Postgres runs as. */
export type SystemUser = { name: string; uid: number; gid: number };

/**
 * Whom Postgres runs as: undefined stands for our own user. Postgres refuses to run as root, so that root
 * hands it to the owner of the cluster that is there, else to `postgres`, else to `nobody`.
 */
export async function chooseUser(clusterDir: string): Promise<SystemUser | undefined> {
	if (process.geteuid?.() !== 0) return undefined;
	const owner = await stat(clusterDir).catch(() => undefined);
	if (owner && owner.uid !== 0) return { name: `user ${owner.uid}`, uid: owner.uid, gid: owner.gid };
	const users = await readFile("/etc/passwd", "utf8");
	const user = findUser(users, "postgres") ?? findUser(users, "nobody");
	if (user) return user;
	throw new AppError(
		"unavailable",
		"embedded_postgres.no_user",
		"Postgres refuses to run as root, and this machine has neither a user postgres nor a user nobody: start the server as an ordinary user, or name a Postgres in DATABASE_URL.",
	);
}

/**
 * Makes sure that the user can enter the folder and every folder above it. Root's own folders get the one
 * bit that is missing, each with a warning; a folder of somebody else is left alone and named in an error.
 */
export async function letThrough(user: SystemUser, folder: string, log: Log): Promise<void> {
	for (const path of withAncestors(folder)) {
		const found = await stat(path);
		const bit = enterBit(found, user);
		if ((found.mode & bit) !== 0) continue;
		if (found.uid !== 0) throw closedFolder(path, user);
		await chmod(path, (found.mode | bit) & 0o7777);
		log.warn({ folder: path, user: user.name }, `Postgres runs as ${user.name}: let it pass through ${path}`);
	}
}

/** Gives a folder and all that is in it to the user. */
export async function giveTo(user: SystemUser, path: string): Promise<void> {
	const found = await lstat(path);
	await chown(path, user.uid, user.gid);
	if (!found.isDirectory()) return;
	for (const name of await readdir(path)) await giveTo(user, join(path, name));
}

function findUser(passwd: string, name: string): SystemUser | undefined {
	const fields = passwd
		.split("\n")
		.map((line) => line.split(":"))
		.find((line) => line[0] === name);
	if (!fields) return undefined;
	// macOS writes the ids of `nobody` as -2.
	return { name, uid: Number(fields[2]) >>> 0, gid: Number(fields[3]) >>> 0 };
}

function withAncestors(folder: string): string[] {
	const parent = dirname(folder);
	return parent === folder ? [folder] : [...withAncestors(parent), folder];
}

/** Only the first class that a user falls into counts, even where a later one would allow more. */
function enterBit(folder: { uid: number; gid: number }, user: SystemUser): number {
	if (folder.uid === user.uid) return 0o100;
	return folder.gid === user.gid ? 0o010 : 0o001;
}

function closedFolder(path: string, user: SystemUser): AppError {
	return new AppError(
		"unavailable",
		"embedded_postgres.closed_folder",
		`Postgres refuses to run as root, and its user (${user.name}) may not enter ${path}: start the server as the owner of that folder, or set DATA_DIR elsewhere, or name a Postgres in DATABASE_URL.`,
	);
}
