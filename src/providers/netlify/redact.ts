import { storableText } from "../storable.ts";

/**
 * What is kept of an event. A list of what to keep, for a notification holds some seventy keys, among them the bearer
 * token of the build log, the parsed netlify.toml and thousands of digests; forms send what visitors wrote.
 */
const deployFields = [
	"id",
	"site_id",
	"build_id",
	"state",
	"context",
	"branch",
	"title",
	"committer",
	"commit_ref",
	"commit_url",
	"review_id",
	"review_url",
	"error_message",
	"skipped",
	"url",
	"ssl_url",
	"deploy_url",
	"deploy_ssl_url",
	"admin_url",
	"created_at",
	"updated_at",
	"published_at",
];
const otherFields = ["id", "site_id", "form_id", "created_at", "updated_at"];
const textLengthMax = 1000;
const mailAddress = /[^\s<>()"'@]{1,64}@[^\s<>()"'@]{1,255}/g;

/** A notification as it may be stored. */
export function redactEvent(type: string, body: object): Record<string, unknown> {
	const fields = type.startsWith("deploy_") ? deployFields : otherFields;
	const entries = Object.entries(body).flatMap(([key, value]): [string, unknown][] =>
		fields.includes(key) && (typeof value !== "object" || value === null) ? [[key, kept(key, value)]] : [],
	);
	return Object.fromEntries(entries);
}

/** Commit messages carry addresses in trailers ("Co-authored-by: …"), and some people are named by one. */
export function withoutAddresses(text: string): string {
	return text.includes("@") ? text.replace(mailAddress, "[e-mail]") : text;
}

function kept(key: string, value: unknown): unknown {
	if (typeof value !== "string") return value;
	const text = storableText(value);
	if (key.endsWith("_url") || key === "url") return text;
	// Cut by code points, so that no half character is left at the end.
	const short = text.length <= textLengthMax ? text : Array.from(text).slice(0, textLengthMax).join("");
	return key === "branch" ? short : withoutAddresses(short);
}
