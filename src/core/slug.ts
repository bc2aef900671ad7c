/** Lower case, `[a-z0-9-]`, at most `lengthMax` characters, never empty. */
export function slugify(text: string, lengthMax: number): string {
	const slug = text
		.normalize("NFKD")
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.slice(0, lengthMax)
		.replace(/^-+|-+$/g, "");
	return slug === "" ? "x" : slug;
}
