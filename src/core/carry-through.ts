/**
 * Takes step after step, the parts of one together. A part that fails keeps neither the others nor the steps after it
 * from being taken. Throws what failed, when all has been tried.
 */
export async function carryThrough(steps: readonly (readonly (() => Promise<unknown>)[])[]): Promise<void> {
	const failures: unknown[] = [];
	for (const parts of steps) {
		const ends = await Promise.allSettled(parts.map(async (part) => part()));
		failures.push(...ends.flatMap((end) => (end.status === "rejected" ? [end.reason] : [])));
	}
	if (failures.length === 1) throw failures[0];
	if (failures.length > 1) throw new AggregateError(failures, `${failures.length} parts failed`);
}
