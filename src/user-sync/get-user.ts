import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import { type ReadUsersContext, readUsers, toListedUser, type UserRow, userColumns } from "./read-users.ts";
import type { ListedUser, SyncedUser } from "./synced-user.ts";

/**
 * A user of the project's own database by the provider's id, deleted or not, with the provider's document. Throws
 * as `readUsers` does, and a 404.
 */
export async function getUser(
	ctx: ReadUsersContext,
	input: { projectId: ProjectId; userId: string },
): Promise<ListedUser & Pick<SyncedUser, "raw">> {
	const project = await ctx.stores.projects.find(input.projectId);
	// Postgres holds no NUL, and so no such user.
	if (!project || input.userId.includes("\0")) throw notFound(project ? "user" : "project");
	const rows = await readUsers(ctx, project, (client) => client.query<Row>(getSql, [input.userId]));
	const [row] = rows ?? [];
	if (!row) throw notFound("user");
	return { ...toListedUser(row), raw: row.raw };
}

type Row = UserRow & Pick<SyncedUser, "raw">;

const getSql = `select ${userColumns}, u.raw from capydb_auth.users u where u.id = $1`;
