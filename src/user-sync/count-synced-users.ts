import type { Context } from "../context.ts";
import type { Project } from "../projects/project.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";

/**
 * How many users of one provider stand in `capydb_auth.users`, deleted ones left out. Throws a
 * ProjectDatabaseError, also where the tables do not stand.
 */
export async function countSyncedUsers(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	project: Project,
	provider: string,
): Promise<number> {
	const [found] = await useProjectDatabase(ctx, project, (client) =>
		client.query<{ users: number }>(countSql, [provider]),
	);
	return found?.users ?? 0;
}

const countSql = `select count(*)::int as users
from capydb_auth.sync_state s join capydb_auth.users u on u.id = s.user_id
where s.provider = $1 and u.deleted_at is null`;
