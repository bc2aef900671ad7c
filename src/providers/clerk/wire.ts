import type { UserJSON } from "@clerk/backend";
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { ExternalUser } from "../provider.ts";

const Nullable = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

/** The fields of a Clerk user that we read; the vendor sends some thirty more. Moments are milliseconds. */
const ClerkUserWire = Type.Object({
	id: Type.String({ minLength: 1, maxLength: 255 }),
	primary_email_address_id: Nullable(Type.String()),
	email_addresses: Nullable(
		Type.Array(Type.Object({ id: Nullable(Type.String()), email_address: Type.String() })),
	),
	first_name: Nullable(Type.String()),
	last_name: Nullable(Type.String()),
	username: Nullable(Type.String()),
	image_url: Nullable(Type.String()),
	created_at: Nullable(Type.Number()),
	updated_at: Nullable(Type.Number()),
	last_sign_in_at: Nullable(Type.Number()),
} satisfies Partial<Record<keyof UserJSON, TSchema>>);

/** The most that `GET /v1/users` gives. */
export const usersMax = 500;

/** The fields of a webhook that we read. */
const ClerkEventWire = Type.Object({
	type: Type.String({ maxLength: 128, pattern: "^[!-~]+$" }),
	data: Type.Object({}),
	timestamp: Nullable(Type.Number()),
	instance_id: Nullable(Type.String({ maxLength: 255, pattern: "^[!-~]+$" })),
});

export type ClerkUser = Static<typeof ClerkUserWire>;
export type ClerkEvent = Static<typeof ClerkEventWire>;

const userGuard = TypeCompiler.Compile(ClerkUserWire);
const usersGuard = TypeCompiler.Compile(Type.Array(ClerkUserWire, { maxItems: usersMax }));
const eventGuard = TypeCompiler.Compile(ClerkEventWire);
const instanceGuard = TypeCompiler.Compile(
	Type.Object({ id: Type.String({ minLength: 1, maxLength: 255 }) }),
);
const countGuard = TypeCompiler.Compile(Type.Object({ total_count: Type.Integer({ minimum: 0 }) }));
const keySetGuard = TypeCompiler.Compile(Type.Object({ keys: Type.Array(Type.Object({})) }));

export const isClerkUser = (value: unknown): value is ClerkUser => userGuard.Check(value);
export const isClerkUsers = (value: unknown): value is ClerkUser[] => usersGuard.Check(value);
export const isClerkEvent = (value: unknown): value is ClerkEvent => eventGuard.Check(value);
export const isClerkInstance = (value: unknown): value is { id: string } => instanceGuard.Check(value);
export const isClerkCount = (value: unknown): value is { total_count: number } => countGuard.Check(value);
export const isClerkKeySet = (value: unknown): boolean => keySetGuard.Check(value);

/** Clerk's user in our shape. `user` is already redacted: it becomes `raw` as it is. */
export function toExternalUser(user: ClerkUser): ExternalUser {
	return {
		id: user.id,
		email: primaryEmail(user),
		firstName: orNull(user.first_name),
		lastName: orNull(user.last_name),
		username: orNull(user.username),
		imageUrl: orNull(user.image_url),
		createdAt: toMoment(user.created_at),
		updatedAt: toMoment(user.updated_at),
		lastSignInAt: toMoment(user.last_sign_in_at),
		raw: user,
	};
}

/** Milliseconds since 1970 as a Date; null when absent or outside of what a Date can hold. */
export function toMoment(milliseconds: number | null | undefined): Date | null {
	if (typeof milliseconds !== "number") return null;
	const moment = new Date(milliseconds);
	return Number.isNaN(moment.getTime()) ? null : moment;
}

/** Users who sign in by phone or user name have none, and then the first listed address is not a stand-in. */
function primaryEmail(user: ClerkUser): string | null {
	if (typeof user.primary_email_address_id !== "string") return null;
	const primary = user.email_addresses?.find((address) => address.id === user.primary_email_address_id);
	return orNull(primary?.email_address);
}

function orNull(text: string | null | undefined): string | null {
	return text === undefined || text === "" ? null : text;
}
