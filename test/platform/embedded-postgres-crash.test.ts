import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask, createSite, kill, read, type Site, until, write } from "./embedded-postgres-site.ts";

const isRoot = process.geteuid?.() === 0;
const isLinux = process.platform === "linux";

let site: Site;

beforeEach(async () => {
	site = await createSite();
});

afterEach(async () => {
	await site.clear();
});

describe("startEmbeddedPostgres after a crash", { timeout: 60_000 }, () => {
	it("finds the data when the server was killed and its Postgres still runs", async () => {
		const killed = await site.spawnServer();
		await write(killed.url ?? "");
		await kill(killed.child);
		expect(await read(killed.url ?? "")).toBe("kept");
		const next = await site.start();
		expect(next.url).toBe(killed.url);
		expect(await read(next.url)).toBe("kept");
		expect(site.warnings.some((warning) => warning.includes("left its embedded Postgres running"))).toBe(
			true,
		);
	});

	it("finds the data when the server and its Postgres were killed", async () => {
		const killed = await site.spawnServer();
		await write(killed.url ?? "");
		// A session that is busy outlives the Postgres that it belongs to.
		const slow = "SELECT count(*) FROM generate_series(1, 3000000)";
		const busy = ask(killed.url ?? "", slow).catch(() => undefined);
		const active = `SELECT count(*) FROM pg_stat_activity WHERE query = '${slow}' AND state = 'active'`;
		await until(async () => (await ask(killed.url ?? "", active)) === "1");
		await kill(killed.child);
		process.kill(await site.postmasterPid(), "SIGKILL");
		expect(await read((await site.start()).url)).toBe("kept");
		await busy;
	});

	it("is not held up by a pid file that names a living process which is not Postgres", async () => {
		const first = await site.start();
		await write(first.url);
		const pidFile = join(site.dataDir, "postgres", "postmaster.pid");
		const content = await readFile(pidFile, "utf8");
		await first.stop();
		const bystander = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], {
			stdio: "ignore",
			...(await ownerOf(join(site.dataDir, "postgres"))),
		});
		await once(bystander, "spawn");
		await writeFile(pidFile, content.replace(/^\d+/, String(bystander.pid)));
		await chmod(pidFile, 0o666);
		expect(await read((await site.start()).url)).toBe("kept");
		expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
		await kill(bystander);
	});

	it("recovers from a crash in the middle of making the cluster", async () => {
		const { child } = site.launch();
		await until(async () => (await readdir(site.dataDir)).some((name) => name.startsWith("initdb-")));
		await kill(child);
		expect(await readdir(site.dataDir)).not.toContain("postgres");
		const postgres = await site.start();
		expect(await ask(postgres.url, "SELECT 1")).toBe(1);
		expect((await readdir(site.dataDir)).filter((name) => name.startsWith("initdb-"))).toEqual([]);
	});

	it.runIf(isLinux)("runs Postgres in a session of its own and holds no pipe of the server's", async () => {
		const server = await site.spawnServer();
		const sessionOf = async (pid: number) =>
			(await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ")[3];
		const pid = await site.postmasterPid();
		expect(await sessionOf(pid)).toBe(String(pid));
		expect(await sessionOf(server.child.pid ?? 0)).not.toBe(String(pid));
		const closed = once(server.child, "close");
		server.child.kill("SIGKILL");
		await closed;
		expect(await ask(server.url ?? "", "SELECT 1")).toBe(1);
		await site.start();
	});
});

async function ownerOf(path: string): Promise<{ uid?: number; gid?: number }> {
	const { uid, gid } = await stat(path);
	return isRoot ? { uid, gid } : {};
}
