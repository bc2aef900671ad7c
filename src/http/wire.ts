import { type Static, type TSchema, Type } from "@sinclair/typebox";
import type { FastifyReply } from "fastify";
import { AppError, invalid } from "../core/errors.ts";
import { type Id, type IdPrefix, isId } from "../core/ids.ts";

/** The body of every refusal. */
export const ErrorWire = Type.Object(
	{
		error: Type.String({ description: "A sentence a person can act on." }),
		code: Type.String({ description: "`noun.reason`, stable." }),
		request_id: Type.String(),
	},
	{ $id: "Error", title: "Error" },
);

const refusals = {
	400: "The request is wrong; the sentence names the field.",
	401: "The credential is missing, unknown, expired or revoked.",
	403: "The credential does not reach this.",
	404: "There is no such thing, or not for this caller.",
	405: "This path does not take this method.",
	408: "The request did not arrive in time.",
	409: "The state of the thing does not allow it now.",
	413: "The body is too large.",
	415: "The body is not JSON.",
	429: "Too many requests; `Retry-After` says when to come back.",
	431: "The path, the query or a header is too long.",
	500: "A fault of ours.",
	503: "Not able to serve this just now.",
} as const;

const refused = Object.fromEntries(
	Object.entries(refusals).map(([status, description]) => [status, Type.Ref("Error", { description })]),
);

/** The `response` part of a route's schema: its own answers, and every refusal. */
export function answers<Own extends Record<number, TSchema>>(own: Own) {
	return { ...refused, ...own } as Own;
}

/** The same schema, or null. Spelled as a type list, which serialises without trying alternatives. */
export function nullable<Schema extends TSchema>(schema: Schema) {
	return Type.Unsafe<Static<Schema> | null>({ ...schema, type: [schema.type, "null"] });
}

export const Slug = Type.String({ pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", maxLength: 63 });

export const Timestamp = Type.String({ description: "RFC 3339, UTC, with milliseconds." });

const rfc3339 = /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;

/** Reads an RFC 3339 time, which names its offset, of 1970 or later. Throws a 400 that names the field. */
export function readMoment(field: string, text: string): Date {
	const at = new Date(rfc3339.test(text) && isDay(text.slice(0, 10)) ? text : Number.NaN);
	if (Number.isNaN(at.getTime()) || at.getTime() < 0) {
		throw invalid(field, `\`${field}\` must be an RFC 3339 time, such as 2030-01-31T12:00:00Z.`);
	}
	return at;
}

/** `new Date` takes a 30 February for the second of March. */
function isDay(day: string): boolean {
	const at = new Date(day);
	return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(day);
}

/** Answers with text that is JSON already: it holds payloads whose bytes must not be written anew. */
export function sendJson(reply: Pick<FastifyReply, "type">, json: string): never {
	return reply.type("application/json; charset=utf-8").send(json) as never;
}

/**
 * Free text that comes back as it was sent: without NUL, which Postgres cannot hold, and without halves of
 * surrogate pairs, which UTF-8 cannot.
 */
export function text(options: { minLength?: number; maxLength: number; description?: string }) {
	return Type.String({ ...options, pattern: "^[^\\u0000\\ud800-\\udfff]*$" });
}

/** Free-form JSON object. */
export const JsonObject = Type.Record(Type.String(), Type.Unknown());

export const ListQuery = Type.Object({
	limit: Type.Optional(
		Type.Integer({ minimum: 1, maximum: 250, description: "At most how many rows to return." }),
	),
	cursor: Type.Optional(Type.String({ maxLength: 100, description: "`next_cursor` of the page before." })),
});

export const nextCursor = nullable(
	Type.String({
		description: "Where the next page begins; null at the end. A page may have fewer rows than `limit`.",
	}),
);

/** A page as a store takes it: `limit` null means all rows, `before` is the id that the last page ended with. */
export type Page<P extends IdPrefix> = { limit: number | null; before: Id<P> | null };

/** Reads `limit` and `cursor`. Throws a 400 for a cursor that no list of this kind gave. */
export function readPage<P extends IdPrefix>(
	prefix: P,
	query: Static<typeof ListQuery>,
	defaultLimit: number | null,
): Page<P> {
	const before = query.cursor === undefined ? null : readCursor(prefix, query.cursor);
	const limit = query.limit ?? (before === null ? defaultLimit : (defaultLimit ?? 250));
	return { limit, before };
}

/** Splits the extra row that a store fetched to see whether there is more. */
export function cutPage<Row extends { id: string }>(
	rows: readonly Row[],
	limit: number | null,
): { rows: readonly Row[]; nextCursor: string | null } {
	if (limit === null || rows.length <= limit) return { rows, nextCursor: null };
	const kept = rows.slice(0, limit);
	return { rows: kept, nextCursor: cursorAfter(kept) };
}

/** Where the page behind these rows begins. */
export function cursorAfter(rows: readonly { id: string }[]): string {
	return makeCursor(rows.at(-1)?.id ?? "");
}

function makeCursor(id: string): string {
	return Buffer.from(id).toString("base64url");
}

function readCursor<P extends IdPrefix>(prefix: P, cursor: string): Id<P> {
	const id = Buffer.from(cursor, "base64url").toString("latin1");
	if (!isId(prefix, id) || makeCursor(id) !== cursor) {
		throw new AppError("invalid", "cursor.invalid", "`cursor` is not one that this list returned.");
	}
	return id;
}
