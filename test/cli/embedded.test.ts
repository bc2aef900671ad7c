import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { isPostgresUp, startServerProcess } from "../journeys/server-process.ts";
import { runCli } from "./cli-process.ts";

const adminToken = "an-operator-of-the-test";

it("commands reach the embedded Postgres beside a server, start it when no server has it, and make none", async () => {
	const folder = await mkdtemp(join(tmpdir(), "capydb-cli-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	const env = { DATA_DIR: folder };
	const early = await runCli(["list-stuck"], env);
	expect(early).toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/^There is no database: set DATABASE_URL/),
	});
	expect(await readdir(folder)).toEqual([]);

	const server = await startServerProcess(folder, { ADMIN_TOKEN: adminToken }, (stop) =>
		onTestFinished(async () => void (await stop())),
	);
	const made = await runCli(["create-organization", "--name", "Beside", "--json"], env);
	expect(made).toMatchObject({ code: 0, stderr: "" });
	const answer = await fetch(`${server.url}/v1/organizations/${made.json.organization.id}`, {
		headers: { authorization: `Bearer ${adminToken}` },
	});
	expect(answer.status).toBe(200);
	const refused = await runCli(["migrate"], env);
	expect(refused).toMatchObject({
		code: 1,
		stderr: expect.stringContaining("Another server is already running"),
	});
	expect(await server.stop()).toEqual({ code: 0, signal: null });

	const alone = await runCli(["list-stuck", "--json"], env);
	expect(alone).toMatchObject({ code: 0, json: { paused_at: null, deliveries: [], jobs: [], inbound: [] } });
	expect((await runCli(["migrate"], env)).stdout).toBe("The database is up to date.\n");
	expect(await isPostgresUp(folder)).toBe(false);
});
