import { depthMax, dropped, mapArray, mapObject, storable } from "./storable.ts";

/** What becomes of what a key holds. `verbatim`: the customer's own, whatever the keys in it are called. */
export type KeyRule = "redact" | "verbatim" | "drop";

/** A document as it may be stored; what needs no change is not copied. */
export type Redaction = (document: object) => Record<string, unknown>;

/** Keys repeat from document to document: this many are remembered with their rule. */
const rememberedMax = 2_000;
const keyLengthMax = 100;

/**
 * A walk through parsed JSON that leaves out, at any depth, what must not be stored, and makes the rest storable.
 * `dropBeside` names a key that goes because of others in the same object.
 */
export function createRedaction(
	ruleOf: (key: string) => KeyRule,
	dropBeside: (object: object) => string | null = () => null,
): Redaction {
	const ruleFor = remember(ruleOf);
	const redactObject = (object: object, depth: number): Record<string, unknown> => {
		const beside = dropBeside(object);
		return mapObject(object, (value, key) => {
			const rule = key === beside ? "drop" : ruleFor(key);
			if (rule === "drop") return dropped;
			return rule === "verbatim" ? storable(value, depth + 1) : redactValue(value, depth + 1);
		});
	};
	const redactValue = (value: unknown, depth: number): unknown => {
		if (typeof value !== "object" || value === null) return storable(value);
		if (depth > depthMax) return null;
		return Array.isArray(value)
			? mapArray(value, (item) => redactValue(item, depth + 1))
			: redactObject(value, depth);
	};
	return (document) => redactObject(document, 0);
}

function remember(ruleOf: (key: string) => KeyRule): (key: string) => KeyRule {
	const remembered = new Map<string, KeyRule>();
	return (key) => {
		const known = remembered.get(key);
		if (known !== undefined) return known;
		const rule = ruleOf(key);
		if (remembered.size < rememberedMax && key.length <= keyLengthMax) remembered.set(key, rule);
		return rule;
	};
}
