/**
 * Where the values stand in the source of valid JSON. `JSON.parse` must have accepted the text before: this only
 * finds spans and trusts the grammar (RFC 8259).
 */

/** The source of a member of an object, or undefined. Of members with one name the last counts, as for `JSON.parse`. */
export function memberSource(text: string, name: string): string | undefined {
	let found: string | undefined;
	let at = skipSpace(text, skipSpace(text, 0) + 1);
	while (text[at] !== "}") {
		const nameEnd = valueEnd(text, at);
		const isWanted = JSON.parse(text.slice(at, nameEnd)) === name;
		const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
		const end = valueEnd(text, start);
		if (isWanted) found = text.slice(start, end);
		at = skipComma(text, end);
	}
	return found;
}

/** The sources of the elements of an array. */
export function elementSources(text: string): string[] {
	const elements: string[] = [];
	let at = skipSpace(text, skipSpace(text, 0) + 1);
	while (text[at] !== "]") {
		const end = valueEnd(text, at);
		elements.push(text.slice(at, end));
		at = skipComma(text, end);
	}
	return elements;
}

/** The position behind the value that begins at `start`. */
function valueEnd(text: string, start: number): number {
	const first = text[start];
	if (first === '"') return stringEnd(text, start);
	if (first !== "{" && first !== "[") {
		let at = start;
		while (at < text.length && !",]} \t\n\r".includes(text[at] as string)) at += 1;
		return at;
	}
	let depth = 0;
	for (let at = start; ; at += 1) {
		const character = text[at];
		if (character === '"') at = stringEnd(text, at) - 1;
		else if (character === "{" || character === "[") depth += 1;
		else if ((character === "}" || character === "]") && --depth === 0) return at + 1;
	}
}

function stringEnd(text: string, start: number): number {
	let at = start + 1;
	while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
	return at + 1;
}

function skipComma(text: string, from: number): number {
	const at = skipSpace(text, from);
	return text[at] === "," ? skipSpace(text, at + 1) : at;
}

function skipSpace(text: string, from: number): number {
	let at = from;
	while (" \t\n\r".includes(text[at] ?? "x")) at += 1;
	return at;
}
