import { notFound } from "../core/errors.ts";
import type { ProjectId } from "../core/ids.ts";
import { sqlState } from "../platform/db-errors.ts";
import { cursorInvalid } from "./errors.ts";
import { type ReadUsersContext, readUsers, toListedUser, type UserRow, userColumns } from "./read-users.ts";
import type { ListedUser, UserPosition } from "./synced-user.ts";

type Input = {
	projectId: ProjectId;
	/** Part of an id, an e-mail address, a user name or a name, in any case; null for all. */
	search: string | null;
	includeDeleted: boolean;
	limit: number;
	/** Where the page before ended. */
	after: UserPosition | null;
};

/**
 * One page of the users in the project's own database, newest first; those without a time of creation come last.
 * `next` is null at the end. Throws as `readUsers` does, and a 400 for a position that no page ended with.
 */
export async function listUsers(
	ctx: ReadUsersContext,
	input: Input,
): Promise<{ users: ListedUser[]; next: UserPosition | null }> {
	const project = await ctx.stores.projects.find(input.projectId);
	if (!project) throw notFound("project");
	const { after, limit } = input;
	const pattern = input.search === null ? null : `%${input.search.replace(/[\\%_]/g, "\\$&")}%`;
	const values = [
		after?.createdAt ?? null,
		after?.id ?? null,
		pattern,
		input.includeDeleted,
		// One more, to show whether there are more.
		limit + 1,
	];
	const rows = await readUsers(ctx, project, (client) => client.query<Row>(listSql, values)).catch(refuse);
	const kept = (rows ?? []).slice(0, limit);
	const last = kept.at(-1);
	const hasMore = rows !== null && rows.length > limit && last !== undefined;
	return {
		users: kept.map(toListedUser),
		next: hasMore ? { createdAt: last.position, id: last.id } : null,
	};
}

type Row = UserRow & { position: string };

/** A time that does not exist, as 30 February, can only stand in a cursor that a caller made. */
function refuse(error: unknown): never {
	if (!/^2200[78]$/.test(sqlState(error) ?? "")) throw error;
	throw cursorInvalid();
}

// The order is that of the index `users_newest_idx`.
const listSql = `select ${userColumns}, coalesce(u.created_at, '-infinity'::timestamptz)::text as position
from capydb_auth.users u
where ($1::timestamptz is null
		or (coalesce(u.created_at, '-infinity'::timestamptz), u.id collate "C") < ($1::timestamptz, $2::text))
	and ($3::text is null or u.id ilike $3 or u.email::text ilike $3 or u.username::text ilike $3
		or concat_ws(' ', u.first_name, u.last_name) ilike $3)
	and ($4::boolean or u.deleted_at is null)
order by coalesce(u.created_at, '-infinity'::timestamptz) desc, u.id collate "C" desc
limit $5`;
