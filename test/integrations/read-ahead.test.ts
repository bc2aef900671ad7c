import { expect, it } from "vitest";
import { readAhead } from "../../src/integrations/read-ahead.ts";
import { until } from "../support/until.ts";

/** Pages 1 to `last`; then the list ends, or throws. `asked` tells how far it was read. */
function list(last: number, failure?: Error) {
	const asked: number[] = [];
	async function* pages() {
		for (let page = 1; page <= last; page += 1) {
			asked.push(page);
			yield page;
		}
		if (failure) throw failure;
	}
	return { asked, pages: pages() };
}

const quarter = () => 0.25;

it("pages are read while those before are written, in order, each once, and then the list is at its end", async () => {
	const { asked, pages } = list(10);
	const ahead = readAhead(pages, quarter);
	await until(() => asked.length === 4);
	const taken: number[] = [];
	for (;;) {
		const some = await ahead.take();
		if (some.length === 0) break;
		ahead.resume();
		taken.push(...some);
	}
	expect(taken).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
	expect(await ahead.take()).toEqual([]);
});

it("no more pages are read ahead than weigh 1", async () => {
	const { asked, pages } = list(100);
	const ahead = readAhead(pages, quarter);
	await until(() => asked.length === 4);
	await new Promise((resolve) => setImmediate(resolve));
	expect(asked).toEqual([1, 2, 3, 4]);
	expect(await ahead.take()).toEqual([1, 2, 3, 4]);
	await new Promise((resolve) => setImmediate(resolve));
	expect(asked).toEqual([1, 2, 3, 4]);
	ahead.resume();
	await until(() => asked.length === 8);
	ahead.stop();
});

it("what reading threw is heard after the pages before it", async () => {
	const failure = new Error("asked to slow down");
	const ahead = readAhead(list(2, failure).pages, quarter);
	const taken: number[] = [];
	await expect(
		(async () => {
			for (;;) taken.push(...(await ahead.take()));
		})(),
	).rejects.toBe(failure);
	expect(taken).toEqual([1, 2]);
});

it("nothing is read after a stop", async () => {
	const { asked, pages } = list(100);
	const ahead = readAhead(pages, quarter);
	await until(() => asked.length === 4);
	ahead.stop();
	await ahead.take();
	ahead.resume();
	await new Promise((resolve) => setImmediate(resolve));
	expect(asked).toHaveLength(4);
});
