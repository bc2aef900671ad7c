import { sqlState } from "../platform/db-errors.ts";
import type { ClusterAdminClient } from "../platform/project-db.ts";
import { scramVerifier } from "./scram-verifier.ts";

/** Connections that a created role may hold at once, ours among them. */
export const connectionsMax = 25;

export async function clusterMajor(admin: ClusterAdminClient): Promise<number> {
	const [row] = await admin.query<{ major: number }>(
		"select pg_catalog.current_setting('server_version_num')::int / 10000 as major",
	);
	return row?.major ?? 0;
}

/** Null when there is no such role. */
export async function canLogIn(admin: ClusterAdminClient, role: string): Promise<boolean | null> {
	const [row] = await admin.query<{ can: boolean }>(
		"select rolcanlogin as can from pg_catalog.pg_roles where rolname = $1",
		[role],
	);
	return row?.can ?? null;
}

/** Makes a role that may do nothing yet and cannot log in. */
export async function ensureRole(admin: ClusterAdminClient, role: string): Promise<void> {
	if ((await canLogIn(admin, role)) !== null) return;
	const attributes = "NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";
	await unlessThere(
		admin.query(`create role ${quoted(role)} ${attributes} connection limit ${connectionsMax}`),
	);
}

/**
 * Makes a database that only the role may enter. It takes no connections until PUBLIC has lost its own
 * privileges, so there is no moment at which another tenant could get in. From template0, which nobody
 * connects to: template1 would have to be free of connections, and is others' to change.
 */
export async function ensureDatabase(
	admin: ClusterAdminClient,
	database: string,
	role: string,
): Promise<void> {
	const name = quoted(database);
	const rows = await admin.query("select 1 from pg_catalog.pg_database where datname = $1", [database]);
	if (rows.length === 0) {
		await unlessThere(admin.query(`create database ${name} template template0 allow_connections false`));
	}
	await admin.query(`revoke all on database ${name} from public`);
	await admin.query(`grant connect, create, temporary on database ${name} to ${quoted(role)}`);
	await admin.query(`alter database ${name} allow_connections true`);
}

export async function letLogIn(admin: ClusterAdminClient, role: string, password: string): Promise<void> {
	await admin.query(`alter role ${quoted(role)} login password '${scramVerifier(password)}'`);
}

/** Keeps a role that may log in as it is, with another password. */
export async function setPassword(admin: ClusterAdminClient, role: string, password: string): Promise<void> {
	await admin.query(`alter role ${quoted(role)} password '${scramVerifier(password)}'`);
}

/** Takes the login away and ends what is connected. */
export async function lockOut(admin: ClusterAdminClient, role: string): Promise<void> {
	if ((await canLogIn(admin, role)) === null) return;
	await admin.query(`alter role ${quoted(role)} nologin`);
	await endSessions(admin, role);
}

/** How many sessions there are in a database, our own kept connections left out. */
export async function countSessions(admin: ClusterAdminClient, database: string): Promise<number> {
	const [row] = await admin.query<{ count: number }>(
		`select count(*)::int as count from pg_catalog.pg_stat_activity
		where datname = $1 and usename is not null and application_name <> 'capydb'`,
		[database],
	);
	return row?.count ?? 0;
}

/**
 * Makes a database as a copy of one that nobody is connected to, which takes no connections yet; `ensureDatabase`
 * then opens it to its role. Nobody can connect to the source while it is copied. False when somebody was in it.
 */
export async function copyDatabase(
	admin: ClusterAdminClient,
	database: string,
	source: string,
): Promise<boolean> {
	const inUse = "55006";
	try {
		const name = quoted(database);
		await admin.query(`create database ${name} template ${quoted(source)} allow_connections false`);
		return true;
	} catch (error) {
		if (sqlState(error) === inUse) return false;
		throw error;
	}
}

/** Lets `member` act as `role` for a while: `takeBackRole` ends it. */
export async function lendRole(admin: ClusterAdminClient, role: string, member: string): Promise<void> {
	await admin.query(`grant ${quoted(role)} to ${quoted(member)}`);
}

/** Ends what `lendRole` began, with the sessions of the member that got into the role's database by it. */
export async function takeBackRole(
	admin: ClusterAdminClient,
	{ role, member, database }: { role: string; member: string; database: string },
): Promise<void> {
	await admin.query(`revoke ${quoted(role)} from ${quoted(member)}`);
	await endSessions(admin, member, database);
}

export async function dropDatabase(admin: ClusterAdminClient, database: string, role: string): Promise<void> {
	await admin.query(`drop database if exists ${quoted(database)} with (force)`);
	await admin.query(`drop role if exists ${quoted(role)}`);
}

/**
 * Lets the role make things in schema `public`, as customers expect of a database of their own. Run in a fresh
 * database whose role cannot log in yet: nobody but us has ever been in it, so no code of a tenant can run here.
 */
export async function grantPublicSchema(freshDatabase: ClusterAdminClient, role: string): Promise<void> {
	await freshDatabase.query(`grant all on schema public to ${quoted(role)}`);
}

/** Takes back what the role of the database that this one was copied from may do in schema `public`. */
export async function revokePublicSchema(copiedDatabase: ClusterAdminClient, role: string): Promise<void> {
	await copiedDatabase.query(`revoke all on schema public from ${quoted(role)}`);
}

/** An admin that is no superuser may end only sessions of roles that it is a member of, so it becomes one briefly. */
async function endSessions(
	admin: ClusterAdminClient,
	role: string,
	database: string | null = null,
): Promise<void> {
	const end = `select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity
		where usename = $1 and ($2::text is null or datname = $2)`;
	const [row] = await admin.query<{ is_superuser: boolean }>(
		"select rolsuper as is_superuser from pg_catalog.pg_roles where rolname = current_user",
	);
	if (row?.is_superuser) {
		await admin.query(end, [role, database]);
		return;
	}
	await admin.query(`grant ${quoted(role)} to current_user`);
	await admin.query(end, [role, database]);
	await admin.query(`revoke ${quoted(role)} from current_user`);
}

/** Another process that was taken for dead may have made it in the same moment. */
async function unlessThere(making: Promise<unknown>): Promise<void> {
	const thereStates = ["42710", "42P04", "23505"];
	try {
		await making;
	} catch (error) {
		if (!thereStates.includes(sqlState(error) ?? "")) throw error;
	}
}

/** Names are made from ids; anything else here is a mistake of ours. */
function quoted(name: string): string {
	if (!/^[a-z0-9_]{1,63}$/.test(name)) throw new Error("A role or database must be named by an id.");
	return `"${name}"`;
}
