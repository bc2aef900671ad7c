import type { Context } from "../context.ts";
import type { ProjectDatabaseClient } from "../platform/project-db.ts";
import type { Project } from "../projects/project.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";

/**
 * Makes the schema `capydb_auth`, its two tables and the columns of `users` where they are missing, as the
 * project's own role. What is there stays as it is, with columns and indexes that the customer added. Returns the
 * time of the project's database, and whether anything was missing. Throws a ProjectDatabaseError.
 */
export function ensureAuthSchema(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	project: Project,
): Promise<{ at: Date; wasMissing: boolean }> {
	return useProjectDatabase(ctx, project, (client) =>
		asOnlyWriter(client, async () => {
			// Asked first: IF NOT EXISTS wants the right to create also where there is nothing to be created.
			const [found] = await client.query<Found>(findSql);
			const missing = missingOf(found);
			for (const statement of missing) await client.query(statement);
			return { at: new Date(found?.at ?? 0), wasMissing: missing.length > 0 };
		}),
	);
}

/** Runs `work` in a transaction in which nobody else of ours writes to this database's `capydb_auth`. */
export async function asOnlyWriter<Result>(
	client: ProjectDatabaseClient,
	work: () => Promise<Result>,
): Promise<Result> {
	// A database that was made read-only stays so: whoever did that wants no writes, and ours can wait.
	try {
		await client.query(beginSql);
		const result = await work();
		await client.query("commit");
		return result;
	} catch (error) {
		// A connection that broke cannot roll back, and need not: what happened before is what the caller must hear.
		await client.query("rollback").catch(() => {});
		throw error;
	}
}

/** Any constant that customers will not use for locks of their own: "capydb" in ASCII. */
const writerLock = "109270149981282";

// Sorting what is written together must not go over the disk.
const beginSql = `begin isolation level read committed;
	set local work_mem = '16MB';
	select pg_advisory_xact_lock(${writerLock})`;

type Found = { schema: boolean; users: boolean; state: boolean; columns: string[]; at: number };

/** The statements that make what is missing. */
function missingOf(found: Found | undefined): string[] {
	const statements: string[] = [];
	if (!found?.schema) statements.push("create schema capydb_auth");
	if (!found?.users) statements.push(createUsersSql, createNewestIndexSql);
	else {
		const dropped = userColumns.filter(([name]) => !found.columns.includes(name));
		statements.push(
			...dropped.map(([name, type]) => `alter table capydb_auth.users add column ${name} ${type}`),
		);
	}
	if (!found?.state) statements.push(createStateSql);
	return statements;
}

const findSql = `select
	to_regnamespace('capydb_auth') is not null as schema,
	to_regclass('capydb_auth.users') is not null as users,
	to_regclass('capydb_auth.sync_state') is not null as state,
	array(select attname::text from pg_attribute
		where attrelid = to_regclass('capydb_auth.users') and attnum > 0 and not attisdropped) as columns,
	(extract(epoch from clock_timestamp()) * 1000)::float8 as at`;

const userColumns = [
	["email", "text"],
	["first_name", "text"],
	["last_name", "text"],
	["username", "text"],
	["image_url", "text"],
	["created_at", "timestamptz"],
	["updated_at", "timestamptz"],
	["last_sign_in_at", "timestamptz"],
	["deleted_at", "timestamptz"],
	["raw", "jsonb"],
] as const;

const createUsersSql = `create table capydb_auth.users (
	id text primary key,
	${userColumns.map((column) => column.join(" ")).join(",\n\t")}
)`;

// The order of `list-users.ts`, which puts users without a time last.
const createNewestIndexSql = `create index users_newest_idx on capydb_auth.users
	((coalesce(created_at, '-infinity'::timestamptz)), (id collate "C"))`;

// `effects` holds what the last inbound events did to the user, until the next change: a process that died
// before it announced them finds there what it still has to say.
const createStateSql = `create table capydb_auth.sync_state (
	user_id text primary key,
	provider text not null,
	version timestamptz not null,
	rank smallint not null,
	effects jsonb not null default '{}',
	written_at timestamptz not null
)`;
