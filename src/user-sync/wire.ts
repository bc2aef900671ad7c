import { type Static, Type } from "@sinclair/typebox";
import { JsonObject, ListQuery, nextCursor, nullable, Timestamp, text } from "../http/wire.ts";
import { cursorInvalid } from "./errors.ts";
import type { ListedUser, SyncedUser, UserPosition } from "./synced-user.ts";

const ListedUserWire = Type.Object({
	id: Type.String({ description: "The provider's." }),
	provider: nullable(Type.String({ description: "Which provider brought the user." })),
	email: nullable(Type.String()),
	first_name: nullable(Type.String()),
	last_name: nullable(Type.String()),
	username: nullable(Type.String()),
	image_url: nullable(Type.String()),
	created_at: nullable(Timestamp),
	updated_at: nullable(Timestamp),
	last_sign_in_at: nullable(Timestamp),
	deleted_at: nullable(Timestamp),
});

export const UserWire = Type.Object({
	...ListedUserWire.properties,
	raw: nullable({ ...JsonObject, description: "The provider's document, without secrets." }),
});

export const UsersAnswer = Type.Object({ users: Type.Array(ListedUserWire), next_cursor: nextCursor });
export const UserAnswer = Type.Object({ user: UserWire });

export const ListUsersQuery = Type.Object({
	limit: ListQuery.properties.limit,
	cursor: Type.Optional(
		Type.String({ maxLength: 2000, description: ListQuery.properties.cursor.description as string }),
	),
	search: Type.Optional(
		text({ maxLength: 200, description: "Part of an id, e-mail address, user name or name, in any case." }),
	),
	include_deleted: Type.Optional(Type.Boolean({ description: "Also users that were deleted." })),
});

export function toListedUserWire(user: ListedUser): Static<typeof ListedUserWire> {
	return {
		id: user.id,
		provider: user.provider,
		email: user.email,
		first_name: user.firstName,
		last_name: user.lastName,
		username: user.username,
		image_url: user.imageUrl,
		created_at: user.createdAt?.toISOString() ?? null,
		updated_at: user.updatedAt?.toISOString() ?? null,
		last_sign_in_at: user.lastSignInAt?.toISOString() ?? null,
		deleted_at: user.deletedAt?.toISOString() ?? null,
	};
}

export function toUserWire(user: ListedUser & Pick<SyncedUser, "raw">): Static<typeof UserWire> {
	return { ...toListedUserWire(user), raw: user.raw };
}

export function toUserCursor(position: UserPosition | null): string | null {
	if (position === null) return null;
	return Buffer.from(JSON.stringify([position.createdAt, position.id])).toString("base64url");
}

/** Throws a 400 for what `toUserCursor` did not write. */
export function fromUserCursor(cursor: string): UserPosition {
	const [createdAt, id] = parsed(cursor);
	const isMoment = typeof createdAt === "string" && /^(-?infinity|\d{4,6}-[\d :.+-]+( BC)?)$/.test(createdAt);
	if (!isMoment || typeof id !== "string" || !id.isWellFormed() || id.includes("\0")) throw cursorInvalid();
	const position = { createdAt, id };
	if (toUserCursor(position) !== cursor) throw cursorInvalid();
	return position;
}

function parsed(cursor: string): unknown[] {
	try {
		const found: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
		return Array.isArray(found) ? found : [];
	} catch {
		return [];
	}
}
