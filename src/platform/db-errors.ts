import pg from "pg";
import { ProjectDatabaseError } from "./project-db-errors.ts";

/** SQLSTATE of a database error, through the wrapper that Drizzle puts around it; null for anything else. */
export function sqlState(error: unknown): string | null {
	for (let at: unknown = error; at instanceof Error; at = at.cause) {
		if (at instanceof pg.DatabaseError) return at.code ?? null;
	}
	return null;
}

/** Name of the constraint that a database error broke, or null. */
export function brokenConstraint(error: unknown): string | null {
	for (let at: unknown = error; at instanceof Error; at = at.cause) {
		if (at instanceof pg.DatabaseError) return at.constraint ?? null;
	}
	return null;
}

/** Whether a value, or its size, is more than Postgres can hold: tried again it would be refused again. */
export function isValueRefused(error: unknown): boolean {
	return /^(22|54)/.test(sqlState(error) ?? "");
}

/** Whether the database refused what a statement holds, not the work as such: with other values it may pass. */
export function isStatementRefused(error: unknown): boolean {
	return sqlState(error) !== null && !isOutage(error);
}

/** Whether the control database is away, overloaded or just read-only: the same may pass a moment later. */
export function isOutage(error: unknown): boolean {
	// A customer's database that is away is no outage of ours.
	if (!(error instanceof Error) || error instanceof ProjectDatabaseError) return false;
	const code = (error as { code?: unknown }).code ?? "";
	const isSaid =
		error instanceof pg.DatabaseError
			? outageStates.test(String(code))
			: networkCodes.has(String(code)) || driverSentences.test(error.message);
	// One that tried several addresses of a name says what became of each.
	const others = error instanceof AggregateError ? error.errors : [];
	return isSaid || [error.cause, ...others].some(isOutage);
}

/** Connection, resources, Postgres stopping or giving up, its disk; and a standby that is, or is becoming, one. */
const outageStates = /^(08|53|57|58|25006)/;

const networkCodes = new Set([
	"ENOTFOUND",
	"EAI_AGAIN",
	"ECONNREFUSED",
	"ECONNRESET",
	"ECONNABORTED",
	"EPIPE",
	"ETIMEDOUT",
	"EHOSTUNREACH",
	"EHOSTDOWN",
	"ENETUNREACH",
	"ENETDOWN",
]);

/** From their beginning: what a wrapper says of a statement holds its values, too. */
const driverSentences =
	/^(timeout exceeded when trying to connect|timeout expired|Query read timeout|Connection terminated|Client .* not queryable)/;
