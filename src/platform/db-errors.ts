import pg from "pg";

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
	const state = sqlState(error);
	return state !== null && !/^(08|53|57)/.test(state);
}
