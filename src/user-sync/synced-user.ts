import type { ExternalUser } from "../providers/provider.ts";

/** A row of `capydb_auth.users`. */
export type SyncedUser = Omit<ExternalUser, "raw"> & {
	deletedAt: Date | null;
	/** Null in a tombstone: a deletion of a user that was never seen. */
	raw: Record<string, unknown> | null;
};

/** A row as it is shown, without the document, and with the provider that brought it. */
export type ListedUser = Omit<SyncedUser, "raw"> & { provider: string | null };

/** A place in the list of users, newest first; the time as Postgres spells it, to the microsecond. */
export type UserPosition = { createdAt: string; id: string };

/** What a change did to the row. `created`: there was no living row before, also when the change said "updated". */
export type ChangeKind = "created" | "updated" | "deleted";
