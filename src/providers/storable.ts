/** How deep a stored document may be nested; what lies deeper becomes null. */
export const depthMax = 100;

/** A JSON value as Postgres can hold it: see `storableText`. */
export function storable(value: unknown, depth = 0): unknown {
	if (typeof value === "string") return storableText(value);
	if (typeof value !== "object" || value === null) return value;
	if (depth > depthMax) return null;
	if (Array.isArray(value)) return value.map((item) => storable(item, depth + 1));
	const entries = Object.entries(value).map(([key, item]) => [storableText(key), storable(item, depth + 1)]);
	return Object.fromEntries(entries);
}

/**
 * Postgres refuses NUL and half surrogates in text and jsonb, and an end user can write both into metadata or a
 * commit message: without this, one such document would be refused for good, or stop a whole backfill.
 */
export function storableText(text: string): string {
	// Nearly every text is fine as it is, and a backfill asks for millions of them.
	if (!text.includes("\u0000") && text.isWellFormed()) return text;
	return text.replaceAll("\u0000", "\ufffd").toWellFormed();
}
