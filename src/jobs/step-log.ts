const logBytesMax = 16 * 1024;

/** What secrets look like, and what stands in their place; the sentences are ours, this is a second line of defence. */
const secrets: [RegExp, string][] = [
	[/\b(postgres(?:ql)?:\/\/[^\s:/@]*):[^\s@]*@/gi, "$1:[secret]@"],
	[/\b(capy_live_|whsec_|sk_live_|sk_test_)[A-Za-z0-9+/=_-]+/g, "$1[secret]"],
	[/\b(Bearer|Basic) +[A-Za-z0-9+/=._~-]{8,}/gi, "$1 [secret]"],
];

/** A line for customers: without secrets, and without control characters, which Postgres or a terminal may not take. */
export function scrub(line: string): string {
	const clean = line.toWellFormed().replace(/[^\P{Cc}\n\t]/gu, " ");
	return secrets.reduce((text, [pattern, substitute]) => text.replace(pattern, substitute), clean);
}

/** The last 16 KiB, begun at a line where there is one. Null for nothing: answers never hold an empty text. */
export function keepTail(text: string): string | null {
	if (text === "") return null;
	const bytes = Buffer.from(text);
	if (bytes.length <= logBytesMax) return text;
	const mark = "…\n";
	let start = bytes.length - logBytesMax + Buffer.byteLength(mark);
	while (((bytes[start] ?? 0) & 0xc0) === 0x80) start += 1;
	const tail = bytes.subarray(start).toString("utf8");
	return `${mark}${tail.slice(tail.indexOf("\n") + 1)}`;
}
