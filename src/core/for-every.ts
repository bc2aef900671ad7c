/**
 * Does `work` for each item in turn, whatever became of those before. Each failure is handed to `onFailure`; when there
 * was one, this throws at the end.
 */
export async function forEvery<Item>(
	items: Iterable<Item> | AsyncIterable<Item>,
	work: (item: Item) => Promise<void>,
	onFailure: (item: Item, error: unknown) => void,
): Promise<void> {
	let all = 0;
	let failed = 0;
	for await (const item of items) {
		all += 1;
		try {
			await work(item);
		} catch (error) {
			failed += 1;
			onFailure(item, error);
		}
	}
	if (failed > 0) throw new Error(`${failed} of ${all} failed; the log says which and why.`);
}
