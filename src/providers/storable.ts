/** How deep a stored document may be nested; what lies deeper becomes null. */
export const depthMax = 100;

/** A JSON value as Postgres can hold it: see `storableText`. What needs no change is not copied. */
export function storable(value: unknown, depth = 0): unknown {
	if (typeof value === "string") return storableText(value);
	if (typeof value !== "object" || value === null) return value;
	if (depth > depthMax) return null;
	const below = (item: unknown) => storable(item, depth + 1);
	return Array.isArray(value) ? mapArray(value, below) : mapObject(value, below);
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

/** What a `map` of `mapObject` gives for a key that is to be left out. */
export const dropped = Symbol("dropped");

/** The object with its keys storable and its values mapped; itself when that changes nothing. */
export function mapObject(
	object: object,
	map: (value: unknown, key: string) => unknown,
): Record<string, unknown> {
	const before = object as Record<string, unknown>;
	const keys = Object.keys(before);
	/** Null for as long as nothing has changed. */
	let entries: [string, unknown][] | null = null;
	for (const [at, key] of keys.entries()) {
		const value = before[key];
		const mapped = map(value, key);
		const name = storableText(key);
		if (entries === null) {
			if (mapped === value && name === key) continue;
			entries = keys.slice(0, at).map((earlier) => [earlier, before[earlier]]);
		}
		if (mapped !== dropped) entries.push([name, mapped]);
	}
	// Not by assignment, to which a key "__proto__" is something else.
	return entries === null ? before : Object.fromEntries(entries);
}

/** The array with its items mapped; itself when that changes nothing. */
export function mapArray(items: readonly unknown[], map: (item: unknown) => unknown): readonly unknown[] {
	let copy: unknown[] | null = null;
	for (const [at, item] of items.entries()) {
		const mapped = map(item);
		if (copy !== null) copy.push(mapped);
		else if (mapped !== item) copy = [...items.slice(0, at), mapped];
	}
	return copy ?? items;
}
