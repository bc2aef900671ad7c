import type { ProjectId } from "../core/ids.ts";
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

/** The most that one event may hold. */
const eventBytesMax = 256 * 1024;

/** `data` of `user.created`, `user.updated` and `user.deleted`. A document too large for an event is left out. */
export function userEventData(provider: string, projectId: ProjectId, user: SyncedUser): string {
	const columns = {
		id: user.id,
		email: user.email,
		first_name: user.firstName,
		last_name: user.lastName,
		username: user.username,
		image_url: user.imageUrl,
		created_at: user.createdAt,
		updated_at: user.updatedAt,
		last_sign_in_at: user.lastSignInAt,
		deleted_at: user.deletedAt,
	};
	const data = { provider, user_id: user.id, project_id: projectId };
	const whole = JSON.stringify({ ...data, user: { ...columns, raw: user.raw } });
	if (Buffer.byteLength(whole) <= eventBytesMax) return whole;
	return JSON.stringify({ ...data, user: { ...columns, raw: null } });
}
