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
