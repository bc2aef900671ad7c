import type { Schema } from "../api/operations.ts";
import type { Random } from "./random.ts";

/** Stands in a value for what `JSON.stringify` cannot write; `toJson` puts it in. */
const unwritable = { huge: "@@1e400@@", precise: "@@0.1000000000000000055511151231257827@@" };

/** Strings that trip readers, databases, logs and headers. */
const nastyStrings = [
	"",
	" ",
	"\u0000",
	"a\u0000b",
	"\ud800",
	"a\udfffb",
	"\ufeffx",
	"\u202etxt.exe",
	"e\u0301\u0327",
	"💩👩‍👩‍👧",
	"\r\nSet-Cookie: a=b",
	'\n{"level":60}',
	"\u001b[31m",
	"\u2028",
	"\u0085",
	"'; drop table projects; --",
	"%00%n%s",
	"#{7*7}{{7*7}}",
	"../../etc/passwd",
	"__proto__",
	"constructor",
	"toString",
	"null",
	"NaN",
	"<script>alert(1)</script>",
	"\\",
	'"',
	"%",
	"x".repeat(101),
	"é".repeat(3_000),
];

/** Strings that mean something to one field or another. */
const telling = [
	"a",
	"web",
	"sample-1",
	"ü – ø",
	"a.b",
	"order.placed",
	"user.*",
	"*",
	"job.completed",
	"projects:read",
	"*:*",
	"production",
	"2026-01-01T00:00:00Z",
	"2026-02-30T25:61:00Z",
	"0000-01-01T00:00:00Z",
	"9999-12-31T23:59:59.999999999Z",
	"2026-01-01T00:00:00+99:99",
	"1e3",
	"-1",
	"00000000-0000-0000-0000-000000000000",
	"https://hooks.example.com/x",
	"https://hooks.example.com:99999/",
	"https://user:word@example.com/",
	"http://[::1]:1/",
	"http://127.0.0.1:9/x",
	"http://169.254.169.254/latest",
	"https://ex ample.com",
	"https://xn--/",
	"javascript:alert(1)",
	"postgres://u:p@db.example.com:5432/d",
	"postgres://u:p@127.0.0.1:5432/d?sslmode=disable",
	"postgresql://%zz@db.example.com/d",
	"postgres://u:p@db.example.com/d?options=-c%20x%3Dy",
	"whsec_AAAA",
	"sk_test_AAAA",
	"tenant.eu.auth0.com",
];

const numbers = [0, -0, 1, -1, 2, 24, 168, 169, 0.5, 1e21, 2 ** 31, 2 ** 53, 2 ** 64, -(2 ** 63)];

/**
 * A value that the schema mostly takes: bounds, empty and full, and now and then one that it does not take.
 * `known` are further strings to draw from, such as ids.
 */
export function valueFor(random: Random, schema: Schema, known: readonly string[] = [], depth = 0): unknown {
	if (random.chance(0.04) || depth > 6) return nastyValue(random);
	if (schema?.anyOf) return valueFor(random, random.pick<Schema>(schema.anyOf), known, depth + 1);
	if (schema?.if) return valueFor(random, random.pick([schema.then, schema.else]), known, depth + 1);
	if (schema?.enum) return random.pick(schema.enum);
	if (schema && "const" in schema) return schema.const;
	switch (random.pick<string | undefined>([schema?.type].flat())) {
		case "object":
			return objectOf(random, schema, known, depth);
		case "array":
			return arrayOf(random, schema, known, depth);
		case "string":
			return stringOf(random, schema, known);
		case "integer":
			return numberOf(random, schema);
		case "number":
			return numberOf(random, schema) + random.pick([0, 0.5]);
		case "boolean":
			return random.chance(0.5);
		case "null":
			return null;
		default:
			return nastyValue(random);
	}
}

/** Any JSON, chosen without a schema. */
export function nastyValue(random: Random, depth = 0): unknown {
	const kind = random.below(depth > 3 ? 5 : 8);
	switch (kind) {
		case 0:
			return random.pick([null, true, false]);
		case 1:
			return random.pick<number | string>([...numbers, unwritable.huge, unwritable.precise]);
		case 2:
		case 3:
		case 4:
			return random.pick([...nastyStrings, ...telling]);
		case 5:
			return Array.from({ length: random.pick([0, 1, 3, 300]) }, () => nastyValue(random, depth + 3));
		default:
			return Object.fromEntries(
				Array.from({ length: random.below(4) }, () => [
					random.pick(nastyStrings),
					nastyValue(random, depth + 1),
				]),
			);
	}
}

export function nastyString(random: Random): string {
	return random.pick([...nastyStrings, ...telling]);
}

/** As JSON, with numbers that no JavaScript value writes, and keys twice now and then. */
export function toJson(random: Random, value: unknown): string {
	const text = JSON.stringify(value).replace(/"@@([^@"]+)@@"/g, "$1");
	const first = /^\{("[^"\\]*":)/.exec(text)?.[1];
	return first !== undefined && random.chance(0.03) ? `${text.slice(0, -1)},${first}null}` : text;
}

/** The value with one thing inside exchanged, dropped or added. */
export function mutate(random: Random, value: unknown): unknown {
	if (typeof value !== "object" || value === null || random.chance(0.1)) return nastyValue(random);
	if (Array.isArray(value)) {
		if (value.length === 0 || random.chance(0.2)) return [...value, nastyValue(random)];
		const at = random.below(value.length);
		return value.with(at, mutate(random, value[at]));
	}
	const entries = Object.entries(value);
	if (entries.length === 0 || random.chance(0.15))
		return Object.fromEntries([...entries, [nastyString(random), nastyValue(random)]]);
	const at = random.below(entries.length);
	const [name, inner] = entries[at] as [string, unknown];
	const isDropped = random.chance(0.15);
	return Object.fromEntries(
		isDropped ? entries.toSpliced(at, 1) : entries.with(at, [name, mutate(random, inner)]),
	);
}

function objectOf(random: Random, schema: Schema, known: readonly string[], depth: number): unknown {
	const required: string[] = schema.required ?? [];
	const properties = Object.entries<Schema>(schema.properties ?? {});
	const kept = properties.filter(([name]) => random.chance(required.includes(name) ? 0.97 : 0.35));
	const entries = kept.map(([name, inner]) => [name, valueFor(random, inner, known, depth + 1)] as const);
	const others: Schema = schema.additionalProperties ?? Object.values(schema.patternProperties ?? {})[0];
	const isOpen = others && typeof others === "object";
	const more = isOpen
		? Array.from({ length: random.below(4) }, () => [
				random.pick(["x-a", "X-Tenant", "authorization", "host", "x_1", nastyString(random)]),
				valueFor(random, others, known, depth + 1),
			])
		: [];
	return Object.fromEntries([...entries, ...more]);
}

function arrayOf(random: Random, schema: Schema, known: readonly string[], depth: number): unknown[] {
	const most = schema.maxItems ?? 5;
	const length = random.pick([0, 1, 1, 2, 3, Math.min(most, 60), Math.min(most + 1, 600)]);
	// Long lists are of one value: what counts is their length.
	const item = valueFor(random, schema.items, known, depth + 1);
	return Array.from({ length }, () => (length > 5 ? item : valueFor(random, schema.items, known, depth + 1)));
}

function stringOf(random: Random, schema: Schema, known: readonly string[]): string {
	if (random.chance(0.08)) return nastyString(random);
	const { minLength = 0, maxLength = 10_000, pattern = "" } = schema;
	const fits = (text: string) => {
		const { length } = [...text];
		return length >= minLength && length <= maxLength && new RegExp(pattern, "u").test(text);
	};
	const edges = ["a".repeat(Math.min(maxLength, 3_000)), "é".repeat(Math.min(maxLength, 3_000))];
	const past = "a".repeat(Math.min(maxLength + 1, 3_001));
	const fitting = [...telling, ...nastyStrings, ...known, ...known, ...edges].filter(fits);
	return random.chance(0.03) || fitting.length === 0 ? past : random.pick(fitting);
}

function numberOf(random: Random, schema: Schema): number {
	const { minimum = 0, maximum = 2 ** 31 } = schema;
	if (random.chance(0.15)) return random.pick([minimum - 1, maximum + 1, ...numbers]);
	const span = Math.min(maximum - minimum, 1_000);
	return random.pick([minimum, maximum, minimum + random.below(span + 1)]);
}
