import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";

it("every fault is held by tests that are there, under their names", async () => {
	const table = await readFile(new URL("faults.md", import.meta.url), "utf8");
	const rows = table.split("\n").filter((line) => line.startsWith("| ") && !/^\| (What|-)/.test(line));
	expect(rows).toHaveLength(40);
	for (const row of rows) {
		const tests = [...row.matchAll(/\]\(([^)]+\.test\.ts)\) “([^”]+)”/g)];
		expect([row, tests.length]).not.toEqual([row, 0]);
		expect(tests).toHaveLength(row.split("](").length - 1);
		for (const [, file = "", name = ""] of tests) {
			const source = await readFile(new URL(file, import.meta.url), "utf8");
			expect([file, name, source.includes(`"${name}"`)]).toEqual([file, name, true]);
		}
	}
});
