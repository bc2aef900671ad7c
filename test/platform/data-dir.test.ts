import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DataDir, lockDataDir, openDataDir, readOrCreateFile } from "../../src/platform/data-dir.ts";

let folder: string;
let dataDir: DataDir;

beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), "data-dir-"));
	dataDir = await openDataDir(join(folder, "a", "b"));
});

afterEach(async () => {
	await rm(folder, { recursive: true, force: true });
});

describe("readOrCreateFile", () => {
	it("writes the file once, for its owner alone, and returns the same ever after", async () => {
		expect(await readOrCreateFile(dataDir, "key", () => "first")).toBe("first");
		expect(await readOrCreateFile(dataDir, "key", () => "second")).toBe("first");
		expect((await stat(join(dataDir.path, "key"))).mode & 0o777).toBe(0o600);
		expect(await readFile(join(dataDir.path, "key"), "utf8")).toBe("first\n");
	});

	it("gives every one of many writers at once what the one that won wrote", async () => {
		const writers = Array.from({ length: 20 }, (_, index) =>
			readOrCreateFile(dataDir, "key", () => `writer ${index}`),
		);
		expect(new Set(await Promise.all(writers)).size).toBe(1);
		expect(await readdir(dataDir.path)).toEqual(["key"]);
	});

	it("refuses an empty file instead of replacing what may have been lost", async () => {
		await writeFile(join(dataDir.path, "key"), "");
		await expect(readOrCreateFile(dataDir, "key", () => "new")).rejects.toThrow(/key is empty: restore it/);
	});
});

describe("lockDataDir", () => {
	it("gives the folder to one at a time", async () => {
		const unlock = await lockDataDir(dataDir);
		await expect(lockDataDir(dataDir)).rejects.toThrow(
			/^Another server is already running on the data folder/,
		);
		unlock();
		unlock();
		(await lockDataDir(dataDir))();
	});
});
