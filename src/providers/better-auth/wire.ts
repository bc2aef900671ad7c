import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { ExternalUser } from "../provider.ts";

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
/** With a character that could not be stored it would be another user. */
const UserId = Type.String({ minLength: 1, maxLength: 255, pattern: "^[^\\u0000\\ufffd]+$" });
const EventType = Type.String({ minLength: 1, maxLength: 128, pattern: "^[!-~]+$" });
/** RFC 3339 text, as JSON makes of a Date, or milliseconds. */
const Moment = Nullable(Type.Union([Type.String(), Type.Number()]));

/** The fields of a user that we read: the core's, the user name plugin's, and names that applications add. */
const User = Type.Object({
	id: UserId,
	name: Nullable(Type.String()),
	firstName: Nullable(Type.String()),
	lastName: Nullable(Type.String()),
	email: Nullable(Type.String()),
	username: Nullable(Type.String()),
	image: Nullable(Type.String()),
	createdAt: Moment,
	updatedAt: Moment,
	lastSignInAt: Moment,
});

/** A delivery: `{event, user}` as applications send it by hand, or `{type, timestamp, data}` as the plugin sends it. */
const Delivery = Type.Object({
	event: Nullable(EventType),
	type: Nullable(EventType),
	user: Nullable(Type.Object({})),
	data: Nullable(Type.Object({})),
	timestamp: Moment,
});

/** The most users that the plugin exports at once. */
export const exportUsersMax = 500;

/** An answer of the plugin's export endpoint. The tenant names the host, which could answer millions of tiny users. */
const Export = Type.Object({
	users: Type.Array(User, { maxItems: exportUsersMax }),
	cursor: Type.Union([Type.String({ minLength: 1, maxLength: 1000 }), Type.Null()]),
});

export type BetterAuthUser = Static<typeof User>;
export type BetterAuthDelivery = Static<typeof Delivery>;

export const isUser = guard(User);
export const isDelivery = guard(Delivery);
export const isExport = guard(Export);

const profileFields = ["name", "firstName", "lastName", "email", "username", "image", "createdAt"] as const;

/** Whether there is nothing but an id, which says that the user changed, and not that all else was emptied. */
export function isBare(user: BetterAuthUser): boolean {
	return profileFields.every((field) => (user[field] ?? null) === null);
}

/** Better Auth's user in our shape. `user` is already redacted: it becomes `raw` as it is. */
export function toExternalUser(user: BetterAuthUser): ExternalUser {
	const { firstName, lastName } = namesOf(user);
	return {
		id: user.id,
		email: orNull(user.email),
		firstName,
		lastName,
		username: orNull(user.username),
		imageUrl: orNull(user.image),
		createdAt: toMoment(user.createdAt),
		updatedAt: toMoment(user.updatedAt),
		lastSignInAt: toMoment(user.lastSignInAt),
		raw: user,
	};
}

/** A moment as a Date; null when absent, or no time. */
export function toMoment(time: string | number | null | undefined): Date | null {
	if (typeof time !== "string" && typeof time !== "number") return null;
	const moment = new Date(time);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

/**
 * Better Auth knows one `name`. It is cut at its first white space, so that both columns in a row read as the name
 * again, wherever a family name really begins.
 */
function namesOf(user: BetterAuthUser): Pick<ExternalUser, "firstName" | "lastName"> {
	const firstName = orNull(user.firstName);
	const lastName = orNull(user.lastName);
	if (firstName !== null || lastName !== null) return { firstName, lastName };
	const [, first, rest] = /^\s*(\S+)\s*(.*?)\s*$/su.exec(user.name ?? "") ?? [];
	return { firstName: orNull(first), lastName: orNull(rest) };
}

function orNull(text: string | null | undefined): string | null {
	return text === undefined || text === "" ? null : text;
}

function guard<T extends TSchema>(schema: T): (value: unknown) => value is Static<T> {
	const compiled = TypeCompiler.Compile(schema);
	return (value): value is Static<T> => compiled.Check(value);
}
