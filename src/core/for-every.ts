/**
 * Does `work` for each item in turn, whatever became of those before. Each failure is handed to `onFailure`; when there
 * was one, this throws at the end.
 */
export async function forEvery<Item>(
	items: readonly Item[],
	work: (item: Item) => Promise<void>,
	onFailure: (item: Item, error: unknown) => void,
): Promise<void> {
	let failed = 0;
	for (const item of items) {
		try {
			await work(item);
		} catch (error) {
			failed += 1;
			onFailure(item, error);
		}
	}
	if (failed > 0) throw new Error(`${failed} of ${items.length} failed; the log says which and why.`);
}
