import { describe, expect, it } from "vitest";
import { createBatcher } from "../../src/core/batcher.ts";
import { until } from "../support/until.ts";

const refusal = { kind: "unavailable", code: "server.overloaded", retryAfterSeconds: 2 };

/** One whose runs end when the test says so. */
function startHeld(limits: Omit<Parameters<typeof createBatcher<string, string>>[0], "run" | "itemsMax">) {
	const runs: { items: readonly string[]; end(): void }[] = [];
	const batcher = createBatcher<string, string>({
		...limits,
		itemsMax: 2,
		run: (items) =>
			new Promise((resolve) => {
				runs.push({ items, end: () => resolve(items) });
			}),
	});
	const endAll = async (count: number) => {
		for (let ended = 0; ended < count; ended += 1) {
			await until(() => runs.length > ended);
			runs[ended]?.end();
		}
	};
	return { batcher, runs, endAll };
}

describe("a batcher whose runs do not come to their end", () => {
	it("refuses what is more than may wait, at once, and does the rest in order when they do", async () => {
		const { batcher, runs, endAll } = startHeld({ waitingMax: 4 });
		const first = batcher("a");
		await until(() => runs.length === 1);
		const others = ["b", "c", "d", "e"].map(batcher);
		await until(() => runs.length === 2);
		expect(batcher.usage().waiting).toBe(2);
		others.push(...["f", "g"].map(batcher));
		await expect(batcher("h")).rejects.toMatchObject(refusal);
		expect(batcher.usage().waiting).toBe(4);
		await endAll(4);
		expect(await Promise.all([first, ...others])).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
		expect(runs.map(({ items }) => items.join(""))).toEqual(["a", "bc", "de", "fg"]);
		expect(batcher.usage()).toEqual({ waiting: 0, oldestWaitMs: 0 });
	});

	it("refuses what weighs more than may wait, but never the only one", async () => {
		const { batcher, runs, endAll } = startHeld({ waitingWeightMax: 10, weigh: ({ length }) => length });
		const taken = [batcher("a")];
		await until(() => runs.length === 1);
		taken.push(batcher("x".repeat(50)));
		await expect(batcher("y")).rejects.toMatchObject(refusal);
		runs[0]?.end();
		await until(() => runs.length === 2);
		taken.push(batcher("z".repeat(10)));
		await expect(batcher("y")).rejects.toMatchObject(refusal);
		await endAll(3);
		expect((await Promise.all(taken)).map(({ length }) => length)).toEqual([1, 50, 10]);
	});

	it("refuses what has waited for too long, and never runs it", async () => {
		const { batcher, runs, endAll } = startHeld({ waitMaxMs: 50 });
		const first = batcher("a");
		await until(() => runs.length === 1);
		await expect(batcher("b")).rejects.toMatchObject(refusal);
		await expect(batcher("c")).rejects.toMatchObject(refusal);
		expect(batcher.usage().waiting).toBe(0);
		await endAll(1);
		expect(await first).toBe("a");
		const later = batcher("d");
		await endAll(2);
		expect(await later).toBe("d");
		expect(runs.map(({ items }) => items.join(""))).toEqual(["a", "d"]);
	});

	it("tells how long the first of those has waited that are not under way", async () => {
		const { batcher, runs, endAll } = startHeld({});
		const first = batcher("a");
		await until(() => runs.length === 1);
		expect(batcher.usage().oldestWaitMs).toBe(0);
		const second = batcher("b");
		await until(() => batcher.usage().oldestWaitMs > 100);
		await endAll(2);
		await Promise.all([first, second]);
		expect(batcher.usage().oldestWaitMs).toBe(0);
	});
});
