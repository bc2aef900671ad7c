import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { ExternalUser } from "../provider.ts";

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
/** Of connection and id, as in "auth0|507f…"; with a character that could not be stored it would be another user. */
const UserId = Type.String({ minLength: 1, maxLength: 255, pattern: "^[^\\u0000\\ufffd]+$" });
const EventId = Type.String({ minLength: 1, maxLength: 255, pattern: "^[!-~]+$" });
const EventType = Type.String({ minLength: 1, maxLength: 128, pattern: "^[!-~]+$" });
const Tenant = Nullable(Type.String({ maxLength: 255, pattern: "^[!-~]*$" }));

/** The most that `GET /api/v2/users` gives at once. */
export const usersMax = 100;

/** The fields of a user that we read (event catalogue 0.7.2). `updated_at` and the names may be missing. */
const User = Type.Object({
	user_id: UserId,
	email: Nullable(Type.String()),
	given_name: Nullable(Type.String()),
	family_name: Nullable(Type.String()),
	username: Nullable(Type.String()),
	picture: Nullable(Type.String()),
	created_at: Nullable(Type.String()),
	updated_at: Nullable(Type.String()),
	deleted_at: Nullable(Type.String()),
	last_login: Nullable(Type.String()),
});

/**
 * An event of an Event Stream: CloudEvents. Its two official schemas disagree on the length of the id, and a test
 * event has a field that they forbid, so that nothing is asked of it beyond what is read.
 */
const StreamEvent = Type.Object({
	id: EventId,
	type: EventType,
	time: Nullable(Type.String()),
	data: Type.Object({ object: Type.Object({}) }),
	a0tenant: Tenant,
	a0purpose: Nullable(Type.String()),
});

/** An entry of a Log Stream. */
const LogEntry = Type.Object({
	log_id: EventId,
	data: Type.Object({
		type: EventType,
		date: Nullable(Type.String()),
		user_id: Nullable(Type.String({ maxLength: 255 })),
		tenant_name: Tenant,
		details: Nullable(Type.Unknown()),
	}),
});

/** What an Action is told to post: `{event|type, user|data}`. */
const ActionPost = Type.Object({
	event: Nullable(EventType),
	type: Nullable(EventType),
	user: Nullable(Type.Object({})),
	data: Nullable(Type.Object({})),
	time: Nullable(Type.String()),
});

/** The Management API's call that a `sapi` entry records, as far as it tells which user it changed. */
const ApiCall = Type.Object({
	request: Type.Object({ method: Type.String(), path: Type.String() }),
	response: Nullable(
		Type.Object({
			statusCode: Nullable(Type.Number()),
			body: Nullable(Type.Object({ user_id: Nullable(UserId) })),
		}),
	),
});

/** The answer to a list of users when totals are asked for. */
const UserTotals = Type.Object({ total: Type.Integer({ minimum: 0 }) });

/** The answer of the token endpoint. */
const Grant = Type.Object({
	access_token: Type.String({ minLength: 1, maxLength: 16_384, pattern: "^[!-~]+$" }),
	expires_in: Type.Number(),
});

export type Auth0User = Static<typeof User>;
export type Auth0LogEntry = Static<typeof LogEntry>;
export type Auth0ActionPost = Static<typeof ActionPost>;

export const isUser = guard(User);
export const isUsers = guard(Type.Array(User, { maxItems: usersMax }));
export const isUserTotals = guard(UserTotals);
export const isGrant = guard(Grant);
export const isStreamEvent = guard(StreamEvent);
export const isLogEntry = guard(LogEntry);
export const isActionPost = guard(ActionPost);
export const isApiCall = guard(ApiCall);

const profileFields = [
	"email",
	"given_name",
	"family_name",
	"username",
	"picture",
	"created_at",
	"last_login",
] as const;

/** Whether there is nothing but an id, which says that the user changed, and not that all else was emptied. */
export function isBare(user: Auth0User): boolean {
	return profileFields.every((field) => (user[field] ?? null) === null);
}

/** Auth0's user in our shape. `user` is already redacted: it becomes `raw` as it is. */
export function toExternalUser(user: Auth0User): ExternalUser {
	return {
		id: user.user_id,
		email: orNull(user.email),
		firstName: orNull(user.given_name),
		lastName: orNull(user.family_name),
		username: orNull(user.username),
		imageUrl: orNull(user.picture),
		createdAt: toMoment(user.created_at),
		updatedAt: toMoment(user.updated_at),
		lastSignInAt: toMoment(user.last_login),
		raw: user,
	};
}

/** An RFC 3339 time as a Date; null when absent, or no time. */
export function toMoment(time: string | null | undefined): Date | null {
	if (typeof time !== "string") return null;
	const moment = new Date(time);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

function orNull(text: string | null | undefined): string | null {
	return text === undefined || text === "" ? null : text;
}

function guard<T extends TSchema>(schema: T): (value: unknown) => value is Static<T> {
	const compiled = TypeCompiler.Compile(schema);
	return (value): value is Static<T> => compiled.Check(value);
}
