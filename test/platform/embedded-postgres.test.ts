import { once } from "node:events";
import { cp, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ask, createSite, read, type Site, until, write } from "./embedded-postgres-site.ts";

const isRoot = process.geteuid?.() === 0;
const isLinux = process.platform === "linux";

let site: Site;

beforeEach(async () => {
	site = await createSite();
});

afterEach(async () => {
	await site.clear();
});

describe("startEmbeddedPostgres", { timeout: 60_000 }, () => {
	it("makes the missing data folder and answers as Postgres 18 in UTF-8", async () => {
		const postgres = await site.start();
		expect(postgres.url).toMatch(/^postgres:\/\/postgres:[0-9a-f]{48}@127\.0\.0\.1:2\d{4}\/postgres$/);
		expect(await ask(postgres.url, "SHOW server_version")).toMatch(/^18\./);
		expect(await ask(postgres.url, "SHOW server_encoding")).toBe("UTF8");
		expect(await ask(postgres.url, "SHOW max_connections")).toBe("300");
		expect(await ask(postgres.url, "SHOW data_checksums")).toBe("on");
	});

	it("refuses a wrong password and listens on the loopback address alone", async () => {
		const postgres = await site.start();
		const wrong = postgres.url.replace(/:[0-9a-f]{48}@/, ":wrong@");
		await expect(ask(wrong, "SELECT 1")).rejects.toMatchObject({ code: "28P01" });
		expect(await ask(postgres.url, "SHOW listen_addresses")).toBe("127.0.0.1");
		expect(await ask(postgres.url, "SHOW unix_socket_directories")).toBe("");
		const rules = "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules";
		expect(await ask(postgres.url, rules)).toBe("scram-sha-256");
	});

	it("keeps its files to their owner and leaves nothing of initdb behind", async () => {
		await site.start();
		expect((await readdir(site.dataDir)).toSorted()).toEqual([
			"lock",
			"postgres",
			"postgres-password",
			"postgres-port",
			"postgres.log",
		]);
		expect(await modeOf(join(site.dataDir, "postgres"))).toBe(0o700);
		for (const name of ["lock", "postgres-password", "postgres-port", "postgres.log"]) {
			expect(await modeOf(join(site.dataDir, name)), name).toBe(0o600);
		}
	});

	it("says that Postgres ended by itself, and starts again on its data", async () => {
		const first = await site.start();
		await write(first.url);
		process.kill(await site.postmasterPid(), "SIGKILL");
		await until(async () => site.errors.some((error) => error.includes("has ended by itself")));
		await first.stop();
		expect(await read((await site.start()).url)).toBe("kept");
	});

	it("names the programs' own complaint when Postgres does not start", async () => {
		await expect(site.start({ shared_buffers: "nonsense" })).rejects.toThrow(
			/does not start \(it ended\)\. The end of its log .*\n.*invalid value for parameter "shared_buffers"/,
		);
		await site.start();
	});

	it("runs with the settings it is given", async () => {
		const postgres = await site.start({ max_connections: "42" });
		expect(await ask(postgres.url, "SHOW max_connections")).toBe("42");
	});

	it.runIf(isRoot)("as root runs as another user, in a closed folder inside a closed folder", async () => {
		await mkdir(site.dataDir, { mode: 0o700 });
		const postgres = await site.start();
		const owner = (await stat(join(site.dataDir, "postgres"))).uid;
		expect(owner).not.toBe(0);
		expect((await stat(join(site.dataDir, "postgres-password"))).uid).toBe(0);
		expect(await modeOf(site.folder)).toBe(0o701);
		expect(await modeOf(site.dataDir)).toBe(0o711);
		expect(site.warnings.filter((warning) => warning.includes(site.folder))).toHaveLength(1);
		const pid = await site.postmasterPid();
		if (isLinux) expect((await stat(`/proc/${pid}`)).uid).toBe(owner);
		expect(await ask(postgres.url, "SELECT 1")).toBe(1);
	});

	it.runIf(isRoot)("as root gives a cluster that came back as root's to the user that runs it", async () => {
		const first = await site.start();
		await write(first.url);
		await first.stop();
		const copy = join(site.folder, "copy");
		await cp(site.dataDir, copy, { recursive: true });
		expect((await stat(join(copy, "postgres"))).uid).toBe(0);
		site.dataDir = copy;
		expect(await read((await site.start()).url)).toBe("kept");
	});

	it("keeps port, password and data over a restart", async () => {
		const first = await site.start();
		await write(first.url);
		await first.stop();
		await expect(ask(first.url, "SELECT 1")).rejects.toMatchObject({ code: "ECONNREFUSED" });
		const second = await site.start();
		expect(second.url).toBe(first.url);
		expect(await read(second.url)).toBe("kept");
	});

	it("stops once however often it is asked, with clients connected", async () => {
		const postgres = await site.start();
		const client = new pg.Client({ connectionString: postgres.url });
		client.on("error", () => undefined);
		await client.connect();
		await Promise.all([postgres.stop(), postgres.stop()]);
		await postgres.stop();
		await client.end().catch(() => undefined);
		expect(await readdir(join(site.dataDir, "postgres"))).not.toContain("postmaster.pid");
	});

	it("refuses a second server on the same data folder, and gives the folder back when it stops", async () => {
		const first = await site.start();
		await expect(site.start()).rejects.toThrow(
			`Another server is already running on the data folder ${site.dataDir}: stop it first`,
		);
		expect(await ask(first.url, "SELECT 1")).toBe(1);
		await first.stop();
		await site.start();
	});

	it("lets one of several first starts win and refuses the others", async () => {
		const answers = await Promise.all([site.spawnServer(), site.spawnServer(), site.spawnServer()]);
		const winners = answers.filter((answer) => answer.url !== undefined);
		expect(winners).toHaveLength(1);
		for (const { refused } of answers.filter((answer) => answer.url === undefined)) {
			expect(refused).toContain("Another server is already running on the data folder");
		}
		await write(winners[0]?.url ?? "");
		expect(await read(winners[0]?.url ?? "")).toBe("kept");
	});

	it("says which file to remove when the kept port is taken", async () => {
		const { port, stop } = await site.start();
		await stop();
		const other = createServer().listen(port, "127.0.0.1");
		await once(other, "listening");
		const file = join(site.dataDir, "postgres-port");
		await expect(site.start()).rejects.toThrow(new RegExp(`^Port ${port}, .* remove the file ${file} `));
		other.close();
		await once(other, "close");
		await site.start();
	});

	it("says so when the data folder cannot be made", async () => {
		await writeFile(join(site.folder, "file"), "");
		site.dataDir = join(site.folder, "file", "data");
		await expect(site.start()).rejects.toThrow(/cannot be used \(ENOTDIR\): set DATA_DIR/);
	});
});

async function modeOf(path: string): Promise<number> {
	return (await stat(path)).mode & 0o777;
}
