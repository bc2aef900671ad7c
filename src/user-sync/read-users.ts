import type { Context } from "../context.ts";
import type { ProjectDatabaseClient } from "../platform/project-db.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import { projectNotReady } from "../projects/errors.ts";
import type { Project } from "../projects/project.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";
import { fromProjectDatabaseError } from "./errors.ts";
import type { ListedUser } from "./synced-user.ts";

export type ReadUsersContext = Pick<Context, "stores" | "vault" | "projectDatabases">;

const statementTimeoutMs = 5_000;

/**
 * Runs `work` on a connection that only reads, within 5 s a statement; null where `capydb_auth.users` was never
 * made or was dropped. Throws a 409 until the project is ready, and what `fromProjectDatabaseError` makes of a
 * database that does not answer.
 */
export async function readUsers<Result>(
	ctx: ReadUsersContext,
	project: Project,
	work: (client: ProjectDatabaseClient) => Promise<Result>,
): Promise<Result | null> {
	if (project.state !== "ready") throw projectNotReady();
	try {
		return await useProjectDatabase(ctx, project, async (client) => {
			await client.query("begin read only");
			await client.query(`set local statement_timeout = ${statementTimeoutMs}`);
			const [found] = await client.query<{ stands: boolean }>(
				"select to_regclass('capydb_auth.users') is not null as stands",
			);
			const result = found?.stands ? await work(client) : null;
			await client.query("commit");
			return result;
		});
	} catch (error) {
		throw error instanceof ProjectDatabaseError ? fromProjectDatabaseError(error) : error;
	}
}

/** The columns as `toListedUser` takes them; whatever type a customer gave them, they come as text. */
export const userColumns = `u.id::text as id, u.email::text as email, u.first_name::text as first_name,
	u.last_name::text as last_name, u.username::text as username, u.image_url::text as image_url,
	u.created_at::timestamptz as created_at, u.updated_at::timestamptz as updated_at,
	u.last_sign_in_at::timestamptz as last_sign_in_at, u.deleted_at::timestamptz as deleted_at,
	(select s.provider from capydb_auth.sync_state s where s.user_id = u.id) as provider`;

export type UserRow = Record<
	"email" | "first_name" | "last_name" | "username" | "image_url" | "provider",
	string | null
> & { id: string } & Record<"created_at" | "updated_at" | "last_sign_in_at" | "deleted_at", unknown>;

export function toListedUser(row: UserRow): ListedUser {
	return {
		id: row.id,
		email: row.email,
		firstName: row.first_name,
		lastName: row.last_name,
		username: row.username,
		imageUrl: row.image_url,
		createdAt: momentOf(row.created_at),
		updatedAt: momentOf(row.updated_at),
		lastSignInAt: momentOf(row.last_sign_in_at),
		deletedAt: momentOf(row.deleted_at),
		provider: row.provider,
	};
}

/** The driver gives `infinity` as a number. */
function momentOf(value: unknown): Date | null {
	return value instanceof Date && !Number.isNaN(value.getTime()) ? value : null;
}
