/**
 * What became of one change. `again`: it was made before, by a process that died before it said so. `overtaken`: a
 * reading of all users wrote it before its event came, so that nobody was told of it.
 */
export type WriteVerdict = "write" | "again" | "overtaken" | "same" | "older" | "final" | "held";

/** A change as the statement takes it. Moments are ISO 8601 text. */
export type WantedRow = {
	user_id: string;
	event_id: string | null;
	/** Orders changes of one version: backfill 0, created 1, updated 2, deleted 3. */
	rank: number;
	version: string;
	email: string | null;
	first_name: string | null;
	last_name: string | null;
	username: string | null;
	image_url: string | null;
	created_at: string | null;
	updated_at: string | null;
	last_sign_in_at: string | null;
	raw: unknown;
};

export type WrittenRow = {
	user_id: string;
	verdict: WriteVerdict;
	kind: "created" | "updated" | "deleted";
	/** The row as it was before, for what a deletion does not say and where a backfill wrote it. */
	before: Record<string, unknown> | null;
	/** The database's time, in milliseconds. */
	at: number;
};

const columns = [
	"email",
	"first_name",
	"last_name",
	"username",
	"image_url",
	"created_at",
	"updated_at",
	"last_sign_in_at",
	"raw",
] as const;

const list = (prefix: string) => columns.map((column) => `${prefix}${column}`).join(", ");

/** A deletion says nothing of the user: it keeps what is there. */
const setColumns = columns
	.map((name) => `${name} = case when excluded.deleted_at is null then excluded.${name} else t.${name} end`)
	.join(", ");

const isNews = "w.event_id is not null and w.version >= $7::timestamptz";

/**
 * Judges and writes changes to distinct users, in one statement. Whoever a backfill sees is noted as seen, also
 * where its row is newer; a user deleted because a backfill did not see it is revived by newer events alone. What
 * is noted of a provider that has left the project counts as not there: its users are free to be taken over. Run
 * it as the only writer. Rows are written in the order of their ids, so that it cannot wait in a ring with a
 * statement of the customer's.
 *
 * Nobody is told of what a backfill writes, so the event that brings the same, or something older, is still told, with
 * the row as it stands, unless the change is older than $7. What was told last is the noted version, unless a backfill
 * wrote it (rank 0): then `effects` holds it as `told`, a key that is no event's, or nothing was told. Of a user who is
 * no older than $7 the first that is told is the creation.
 *
 * $1 changes (WantedRow[] as jsonb), $2 provider, $3 whether deletions are final, $4 for a backfill the database's
 * time before the users were read, else null, $5 the smallest event id that may not be announced yet, or null, $6
 * the project's other providers, $7 when the provider was connected.
 */
export const writeUsersSql = `
with wanted as (
	select * from jsonb_to_recordset($1::jsonb) as w(user_id text, event_id text, rank smallint, version timestamptz,
		email text, first_name text, last_name text, username text, image_url text, created_at timestamptz,
		updated_at timestamptz, last_sign_in_at timestamptz, raw jsonb)
), judged as (
	select w.*, s.rank as noted_rank, w.rank < 3 and w.version < s.version as is_older,
		case when w.rank = 3 or (w.event_id is not null and s.rank = 0 and u.deleted_at is null) then to_jsonb(u) end
			as before,
		coalesce(s.effects ->> w.event_id, case
			when w.rank = 3 then 'deleted'
			when s.rank = 0 and not s.effects ? 'told' and w.version <= s.version
				and (w.rank = 1 or u.created_at >= $7::timestamptz) then 'created'
			when u.id is not null and u.deleted_at is null then 'updated'
			else 'created'
		end) as kind,
		case
			when s.effects ? w.event_id then 'again'
			when s.provider <> $2 then 'held'
			when $3 and w.rank < 3 and (s.rank = 3 or (noted.rank is null and u.deleted_at is not null)) then 'final'
			when w.rank < 3 and s.rank = 0 and u.id is not null and u.deleted_at is null and w.version < s.version
				and (w.version > (s.effects ->> 'told')::timestamptz) is not false and ${isNews} then 'overtaken'
			when $4::timestamptz is null and w.rank < 3 and s.rank < 3 and u.deleted_at is not null
				and w.version <= s.version then 'older'
			when $4::timestamptz is null and not ($3 and w.rank = 3) and (w.version, w.rank) < (s.version, s.rank) then 'older'
			when $4::timestamptz is not null and not (u.id is null and s.rank < 3) and (w.version < s.version
				or (w.version = s.version and (s.rank = 3 or s.written_at >= $4::timestamptz))) then 'older'
			when w.rank = 3 and u.deleted_at is not null
				then case when s.rank < 3 and ${isNews} then 'overtaken' else 'same' end
			when w.rank < 3 and u.id is not null and u.deleted_at is null
				and (${list("u.")}) is not distinct from (${list("w.")})
				then case when s.rank = 0 and ${isNews} then 'overtaken' else 'same' end
			else 'write'
		end as verdict
	from wanted w
	left join capydb_auth.sync_state noted on noted.user_id = w.user_id
	left join lateral (select noted.provider, noted.version, noted.rank, noted.effects, noted.written_at
		where noted.provider = $2 or noted.provider = any ($6::text[])) s on true
	left join capydb_auth.users u on u.id = w.user_id
), written as (
	insert into capydb_auth.users as t (id, deleted_at, ${list("")})
	select user_id, case when rank = 3 then version end, ${list("")}
	from judged where verdict = 'write' order by user_id
	on conflict (id) do update set deleted_at = excluded.deleted_at, ${setColumns}
), noted as (
	insert into capydb_auth.sync_state as t (user_id, provider, version, rank, effects, written_at)
	select user_id, $2, version,
		case
			when verdict = 'overtaken' and is_older then 0
			when verdict = 'same' and event_id is null and noted_rank < 3 then noted_rank
			else rank
		end,
		case when verdict in ('write', 'overtaken') and event_id is not null then jsonb_build_object(event_id, kind)
			else '{}' end
		|| case when verdict = 'overtaken' and is_older then jsonb_build_object('told', version) else '{}' end,
		clock_timestamp()
	from judged
	where verdict in ('write', 'overtaken', 'same') or (verdict = 'older' and $4::timestamptz is not null) order by user_id
	on conflict (user_id) do update set
		provider = excluded.provider,
		version = case when t.provider = excluded.provider
			then greatest(t.version, excluded.version) else excluded.version end,
		rank = case when t.provider = excluded.provider and excluded.version <= t.version
			then greatest(t.rank, excluded.rank) else excluded.rank end,
		effects = (select coalesce(jsonb_object_agg(e.key, e.value), '{}')
			from jsonb_each(t.effects) e
			where t.provider = excluded.provider and e.key <> 'told'
				and ($5::text is null or e.key collate "C" >= $5::text))
			|| case
				when t.provider <> excluded.provider or excluded.rank > 0 then '{}'
				when t.rank = 0 then jsonb_strip_nulls(jsonb_build_object('told', t.effects -> 'told'))
				when excluded.version > t.version then jsonb_build_object('told', t.version)
				else '{}' end
			|| excluded.effects,
		written_at = case when excluded.effects ? 'told' then t.written_at else excluded.written_at end
)
select user_id, verdict, kind, case when rank = 3 or verdict in ('overtaken', 'again') then before end as before,
	(extract(epoch from clock_timestamp()) * 1000)::float8 as at
from judged`;
