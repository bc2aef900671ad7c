import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

const compose = await read("docker-compose.yml");

function read(path: string): Promise<string> {
	return readFile(new URL(`../../${path}`, import.meta.url), "utf8");
}

/** What stands under a key, with the key itself: further in than that, or its comments. */
function block(key: string, text = compose): string {
	const [found] = new RegExp(`^( *)${key}:.*\\n(?:\\1 +.*\\n|\\n)*`, "m").exec(text) ?? [];
	if (found === undefined) throw new Error(`there is no ${key}`);
	return found;
}

describe("docker-compose.yml", () => {
	it("builds the image in one place, and everything else that is made of it comes after that", () => {
		expect(compose.match(/^\s+build:/gm)).toHaveLength(1);
		expect(block("server")).toMatch(/^ {4}build: \.$/m);
		const services = [...block("services").matchAll(/^ {2}(\w+):$/gm)].map(([, name = ""]) => name);
		const replicas = services.filter((name) => block(name).includes("<<: *replica"));
		expect(replicas).toEqual(["server", "worker"]);
		expect(block("worker")).toMatch(/^ {4}pull_policy: never$/m);
		expect(block("depends_on", block("worker"))).toContain("server:");
	});

	it("has one address for all replicas: the one that `server` publishes", () => {
		const [, url = "", port = ""] = /^ {2}PUBLIC_URL: (http:\/\/localhost:(\d+))$/m.exec(compose) ?? [];
		expect(compose.match(/PUBLIC_URL:/g)).toHaveLength(1);
		expect(block("x-environment")).toContain(url);
		expect(block("ports", block("server"))).toContain(`"127.0.0.1:${port}:3000"`);
		for (const replica of ["server", "worker"]) expect(block(replica)).toContain("<<: *environment");
		expect(block("worker")).not.toContain("ports:");
	});

	it("lets Postgres take the connections that the README says its replicas open, and customers' own", async () => {
		const said =
			/takes up to (\d+) of its own Postgres, and up to (\d+) of each .*?up to (\d+) jobs .*?up to (\d+) more/s;
		const [own, projects, jobs, ofJob] = (said.exec(await read("README.md")) ?? []).slice(1).map(Number);
		const [, workers] = /replicas: (\d+)$/m.exec(block("worker")) ?? [];
		const working = 1 + Number(workers);
		const needed = working * ((own ?? Number.NaN) + (projects ?? 0) + (jobs ?? 0) * (ofJob ?? 0));
		const [, max] = /max_connections=(\d+)/.exec(compose) ?? [];
		expect(Number(max)).toBeGreaterThan(needed + 50);
	});

	it("runs everything in one process, or with the README's command one for callers beside the workers", async () => {
		expect(block("server")).toContain("ROLE: $" + "{SERVER_ROLE:-all}");
		expect(block("worker")).toMatch(/profiles: \[scaled\][\s\S]*ROLE: worker/);
		const command = "`SERVER_ROLE=api docker compose --profile scaled up`";
		expect(compose).toContain(command);
		expect(await read("README.md")).toContain(command);
	});
});
