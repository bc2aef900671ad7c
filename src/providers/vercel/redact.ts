import { depthMax, storable, storableText } from "../storable.ts";

/** What no stored document may hold, at any depth: addresses of people, and whatever is named like a credential. */
const forbiddenKey =
	/e-?mail|token|secret|password|authorization|cookie|credential|apikey|api_key|^code$|^env$/i;
/** `meta` may hold anything that a deployment was made with; what Vercel itself writes of a commit is kept. */
const metaKey = /^(github|gitlab|bitbucket|git[A-Z])[A-Za-z]*$|^(branchAlias|action|originalDeploymentId)$/;
/** Of a text in `meta`: a commit message has no end of its own, and none is read further than this. */
const textLengthMax = 4000;
const mailAddress = /[^\s<>()"'@]{1,64}@[^\s<>()"'@]{1,255}/g;

/** A webhook as it may be stored. */
export function redactEvent(event: object): Record<string, unknown> {
	return redactObject(event, 0);
}

/** The part of a deployment's `meta` that may be stored, its texts without e-mail addresses. */
export function redactMeta(meta: object): Record<string, string> {
	const kept = Object.entries(meta).filter(
		(entry): entry is [string, string] =>
			metaKey.test(entry[0]) && !forbiddenKey.test(entry[0]) && typeof entry[1] === "string",
	);
	return Object.fromEntries(
		kept.map(([key, text]) => [key, withoutAddresses(storableText(text.slice(0, textLengthMax)))]),
	);
}

/** Commit messages carry them in trailers ("Co-authored-by: …"), and some people are named by one. */
function withoutAddresses(text: string): string {
	return text.includes("@") ? text.replace(mailAddress, "[e-mail]") : text;
}

function redactObject(object: object, depth: number): Record<string, unknown> {
	const kept = Object.entries(object).flatMap(([key, value]): [string, unknown][] => {
		if (forbiddenKey.test(key)) return [];
		if (key === "meta") return isObject(value) ? [[key, redactMeta(value)]] : [];
		return [[storableText(key), redactValue(value, depth + 1)]];
	});
	return Object.fromEntries(kept);
}

function redactValue(value: unknown, depth: number): unknown {
	if (depth > depthMax) return null;
	if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
	return isObject(value) ? redactObject(value, depth) : storable(value);
}

function isObject(value: unknown): value is object {
	return typeof value === "object" && value !== null;
}
