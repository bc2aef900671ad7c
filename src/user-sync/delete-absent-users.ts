import type { Context } from "../context.ts";
import type { Project } from "../projects/project.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";
import { asOnlyWriter } from "./ensure-auth-schema.ts";

type Input = {
	project: Project;
	/** Its id; users of other providers, and rows of the customer's own, stay. */
	provider: string;
	/** The project database's time before the first user was read. */
	begunAt: Date;
};

const batchSize = 5_000;

/**
 * Soft-deletes the users that a complete backfill did not see and that nothing touched since it began; returns how
 * many. Such a deletion is a conclusion and not the provider's word: a newer event revives the user, and so does
 * the next backfill that sees it, also where deletions are final. Throws a ProjectDatabaseError.
 */
export async function deleteAbsentUsers(
	ctx: Pick<Context, "vault" | "projectDatabases">,
	{ project, provider, begunAt }: Input,
): Promise<number> {
	let deleted = 0;
	let after = "";
	for (;;) {
		const values = [provider, begunAt.toISOString(), after, batchSize];
		const [batch] = await useProjectDatabase(ctx, project, (client) =>
			asOnlyWriter(client, () => client.query<Batch>(deleteSql, values)),
		);
		deleted += batch?.deleted ?? 0;
		if (!batch || batch.last === null) return deleted;
		after = batch.last;
	}
}

type Batch = { deleted: number; last: string | null };

const deleteSql = `
with absent as (
	select s.user_id
	from capydb_auth.sync_state s
	join capydb_auth.users u on u.id = s.user_id
	where s.provider = $1 and s.rank < 3 and s.written_at < $2::timestamptz and u.deleted_at is null
		and s.user_id > $3
	order by s.user_id
	limit $4
), deleted as (
	update capydb_auth.users u set deleted_at = clock_timestamp()
	from absent where u.id = absent.user_id
)
select count(*)::int as deleted, max(user_id) as last from absent`;
