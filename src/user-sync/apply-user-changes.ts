import type { Context } from "../context.ts";
import { exhaustive } from "../core/exhaustive.ts";
import { sqlState } from "../platform/db-errors.ts";
import { ProjectDatabaseError } from "../platform/project-db-errors.ts";
import type { Project } from "../projects/project.ts";
import { useProjectDatabase } from "../projects/use-project-database.ts";
import type { AuthProvider, ExternalUser, UserChange } from "../providers/provider.ts";
import { asOnlyWriter, ensureAuthSchema } from "./ensure-auth-schema.ts";
import type { ChangeKind, SyncedUser } from "./synced-user.ts";
import { type WantedRow, type WrittenRow, writeUsersSql } from "./write-users-query.ts";

/** One change and the inbound event that brought it; null for a backfill's, which is not announced. */
export type RequestedChange = {
	change: UserChange;
	eventId: string | null;
	/** What the statement takes, where `rowChanges` wrote it ahead. */
	row?: Buffer;
};

export type ChangeResult = RequestedChange &
	(
		| { outcome: "changed"; kind: ChangeKind; user: SyncedUser }
		/** The row already says so. */
		| { outcome: "unchanged" }
		/** Something newer is known, or the user was deleted for good. */
		| { outcome: "outdated" }
		/** The id belongs to another provider of the project. */
		| { outcome: "held" }
		/** The database takes the others, but not this one. */
		| { outcome: "unwritable" }
	);

type Input = {
	project: Project;
	provider: Pick<AuthProvider, "id" | "deletesAreFinal">;
	/** Ids of the other providers that are connected to the project: they hold their users' ids. */
	others: readonly string[];
	changes: readonly RequestedChange[];
	/** For a backfill, the project database's time before the users were read: what was written later stays. */
	readAt: Date | null;
	/** When the provider was connected; what changed before and a backfill has written is told to nobody. Null for one. */
	newsSince: Date | null;
	/** Called when the database has something to do, and this process has time. */
	onSent?: () => void;
};

export type AppliedChanges = {
	results: ChangeResult[];
	/** The time of the project's database afterwards; null when nothing was written. */
	at: Date | null;
	/** Tables or columns were missing and were made again: without other users and values than these. */
	wereMissing: boolean;
};

type Reach = Pick<Context, "vault" | "projectDatabases">;

/**
 * The one writer of `capydb_auth.users`. Each user's changes take effect in the order of their versions, as if
 * they had come one by one; an event that is applied again after a crash gives the same answer as before. Throws
 * a ProjectDatabaseError.
 */
export async function applyUserChanges(ctx: Reach, input: Input): Promise<AppliedChanges> {
	const eventIds = input.changes.flatMap(({ eventId }) => eventId ?? []).sort();
	const results: ChangeResult[] = [];
	let at: Date | null = null;
	let wereMissing = false;
	for (const round of inRounds(input.changes)) {
		const written = await writeWithSchema(ctx, input, round, eventIds[0] ?? null);
		results.push(...written.results);
		at = written.at ?? at;
		wereMissing ||= written.wereMissing;
	}
	return { results, at, wereMissing };
}

/**
 * A backfill's users as changes whose rows are written already, with that version where a user has none. Of the
 * documents only the bytes of the rows are kept, all in one place: what waits for its turn as objects or texts would
 * outlive the collection of short-lived ones, and the heap would grow with the number of users.
 */
export function rowChanges(users: readonly ExternalUser[], versionElse: Date): RequestedChange[] {
	const changes = users.map((user): RequestedChange => {
		return { change: { kind: "updated", user, version: user.updatedAt ?? versionElse }, eventId: null };
	});
	const rows = changes.map(rowOf);
	const bytes = Buffer.from(rows.join(""));
	let end = 0;
	return changes.map(({ change, eventId }, at) => {
		const start = end;
		end += Buffer.byteLength(rows[at] ?? "");
		const light = change.kind === "deleted" ? change : { ...change, user: { ...change.user, raw: {} } };
		return { change: light, eventId, row: bytes.subarray(start, end) };
	});
}

/** Splits changes so that no user stands twice in one round and the rounds keep each user's order. */
function inRounds(changes: readonly RequestedChange[]): RequestedChange[][] {
	const rounds: RequestedChange[][] = [];
	const seen = new Map<string, number>();
	for (const requested of changes.toSorted(byVersion)) {
		const id = userIdOf(requested.change);
		const at = seen.get(id) ?? 0;
		seen.set(id, at + 1);
		const round = rounds[at] ?? [];
		round.push(requested);
		rounds[at] = round;
	}
	return rounds;
}

function byVersion(left: RequestedChange, right: RequestedChange): number {
	const byTime = left.change.version.getTime() - right.change.version.getTime();
	return byTime || rankOf(left) - rankOf(right) || compareText(left.eventId ?? "", right.eventId ?? "");
}

type Written = { results: ChangeResult[]; at: Date | null };

/** The customer owns the database and may have dropped the schema, a table or a column: it is made again. */
async function writeWithSchema(
	ctx: Reach,
	input: Input,
	changes: RequestedChange[],
	floor: string | null,
): Promise<Written & { wereMissing: boolean }> {
	try {
		return { ...(await writeSplitting(ctx, input, changes, floor)), wereMissing: false };
	} catch (error) {
		if (!/^(42P01|3F000|42703)$/.test(sqlState(error) ?? "")) throw asAltered(error);
	}
	await ensureAuthSchema(ctx, input.project);
	try {
		return { ...(await writeSplitting(ctx, input, changes, floor)), wereMissing: true };
	} catch (error) {
		throw asAltered(error);
	}
}

/** What the customer changed and we cannot mend: types, the primary key, columns of our bookkeeping. */
function asAltered(error: unknown): unknown {
	const state = sqlState(error) ?? "";
	if (!state.startsWith("42") || state === "42501") return error;
	const sentence =
		"The tables of capydb_auth were altered so that no users can be written; undo that, or drop them to have them made again.";
	return new ProjectDatabaseError("failed", sentence, error);
}

/** One statement for all; when a row is at fault, halves, until it stands alone and the others are written. */
async function writeSplitting(
	ctx: Reach,
	input: Input,
	changes: RequestedChange[],
	floor: string | null,
): Promise<Written> {
	try {
		return await write(ctx, input, changes, floor);
	} catch (error) {
		if (!isFaultOfRow(error)) throw error;
		const [only, ...others] = changes;
		if (only && others.length === 0) return { results: [{ ...only, outcome: "unwritable" }], at: null };
		const middle = Math.ceil(changes.length / 2);
		const first = await writeSplitting(ctx, input, changes.slice(0, middle), floor);
		const second = await writeSplitting(ctx, input, changes.slice(middle), floor);
		return { results: [...first.results, ...second.results], at: second.at ?? first.at };
	}
}

/** Values that do not fit, broken constraints, exceeded limits, and what the customer's own triggers raise. */
function isFaultOfRow(error: unknown): boolean {
	return /^(22|23|54|P0)/.test(sqlState(error) ?? "");
}

async function write(
	ctx: Reach,
	input: Input,
	changes: RequestedChange[],
	floor: string | null,
): Promise<Written> {
	const { provider, others, readAt, newsSince, onSent } = input;
	const wanted = asJsonb(changes.map((requested) => requested.row ?? Buffer.from(rowOf(requested))));
	const since = readAt?.toISOString() ?? null;
	const news = newsSince?.toISOString() ?? null;
	const values = [wanted, provider.id, provider.deletesAreFinal, since, floor, [...others], news];
	const rows = await useProjectDatabase(ctx, input.project, (client) =>
		asOnlyWriter(client, () => {
			const writing = client.query<WrittenRow>(writeUsersSql, values);
			onSent?.();
			return writing;
		}),
	);
	const byUser = new Map(rows.map((row) => [row.user_id, row]));
	const results = changes.flatMap((requested) => {
		const row = byUser.get(userIdOf(requested.change));
		return row ? [resultOf(requested, row)] : [];
	});
	return { results, at: rows[0] ? new Date(rows[0].at) : null };
}

/** An array of these rows in the binary form of jsonb: its version and the text. The driver sends bytes as they are. */
function asJsonb(rows: readonly Buffer[]): Buffer {
	const [start, between, end] = [Buffer.from("\x01["), Buffer.from(","), Buffer.from("]")];
	const parts = rows.flatMap((row, at) => (at === 0 ? [row] : [between, row]));
	return Buffer.concat([start, ...parts, end]);
}

function resultOf(requested: RequestedChange, row: WrittenRow): ChangeResult {
	switch (row.verdict) {
		case "write":
		case "again":
		case "overtaken":
			return { ...requested, outcome: "changed", kind: row.kind, user: userAfter(requested.change, row) };
		case "same":
			return { ...requested, outcome: "unchanged" };
		case "older":
		case "final":
			return { ...requested, outcome: "outdated" };
		case "held":
			return { ...requested, outcome: "held" };
		default:
			return exhaustive(row.verdict);
	}
}

/** What is older than what a backfill wrote is not shown as the present. */
function userAfter(change: UserChange, { before }: WrittenRow): SyncedUser {
	if (change.kind !== "deleted" && before === null) return { ...change.user, deletedAt: null };
	return {
		id: userIdOf(change),
		email: textOf(before?.email),
		firstName: textOf(before?.first_name),
		lastName: textOf(before?.last_name),
		username: textOf(before?.username),
		imageUrl: textOf(before?.image_url),
		createdAt: momentOf(before?.created_at),
		updatedAt: momentOf(before?.updated_at),
		lastSignInAt: momentOf(before?.last_sign_in_at),
		deletedAt: change.kind === "deleted" ? change.version : null,
		raw: (before?.raw ?? null) as SyncedUser["raw"],
	};
}

function rowOf(requested: RequestedChange): string {
	const { change, eventId } = requested;
	const user: ExternalUser | null = change.kind === "deleted" ? null : change.user;
	return JSON.stringify({
		user_id: userIdOf(change),
		event_id: eventId,
		rank: rankOf(requested),
		version: storableMoment(change.version) ?? new Date(0).toISOString(),
		email: user?.email ?? null,
		first_name: user?.firstName ?? null,
		last_name: user?.lastName ?? null,
		username: user?.username ?? null,
		image_url: user?.imageUrl ?? null,
		created_at: storableMoment(user?.createdAt),
		updated_at: storableMoment(user?.updatedAt),
		last_sign_in_at: storableMoment(user?.lastSignInAt),
		raw: user?.raw ?? null,
	} satisfies WantedRow);
}

const ranks = { created: 1, updated: 2, deleted: 3 } as const;

function rankOf({ change, eventId }: RequestedChange): number {
	return eventId === null ? 0 : ranks[change.kind];
}

function userIdOf(change: UserChange): string {
	return change.kind === "deleted" ? change.userId : change.user.id;
}

/** ISO 8601 as Postgres reads it; null outside of the years with four digits. */
function storableMoment(moment: Date | null | undefined): string | null {
	const year = moment?.getUTCFullYear() ?? 0;
	return moment && year >= 1 && year <= 9999 ? moment.toISOString() : null;
}

function textOf(value: unknown): string | null {
	return typeof value === "string" ? value : null;
}

/** Null also for what the customer may have written and `Date` cannot hold, as `infinity`. */
function momentOf(value: unknown): Date | null {
	const moment = new Date(typeof value === "string" ? value : Number.NaN);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

function compareText(left: string, right: string): number {
	return left < right ? -1 : left > right ? 1 : 0;
}
