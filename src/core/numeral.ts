/** A count as people read it: 12,500. */
export function numeral(count: number): string {
	return count.toLocaleString("en");
}
