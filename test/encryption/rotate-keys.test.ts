import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import { fromUuid, toUuid } from "../../src/core/ids.ts";
import { StartRefused } from "../../src/outside.ts";
import { createVault } from "../../src/platform/vault.ts";
import { runCli, spawnCli, variablesOf } from "../cli/cli-process.ts";
import { ownSignatures } from "../deliveries/signatures.ts";
import { addEndpoint, addOrganization, publish, receiving } from "../deliveries/webhook-server.ts";
import { startFakeClerk } from "../fakes/clerk.ts";
import { connect, endedJob, getIntegration, newUser, send } from "../integrations/clerk-server.ts";
import { made, previewUrl } from "../previews/preview-server.ts";
import { startTestServer, type TestServer, testKey } from "../support/server.ts";
import { until } from "../support/until.ts";

const newKey = { id: "new", key: Buffer.alloc(32, 8) };
const spelled = [newKey, testKey].map(({ id, key }) => `${id}:${key.toString("base64")}`).join(",");
const reencrypt = ["re-encrypt", "--json"];

function variables(server: TestServer): Record<string, string> {
	return { ...variablesOf(server), ENCRYPTION_KEYS: spelled };
}

/** How many values anywhere in the database are sealed with a key, whatever column holds them. */
async function countSealed(server: TestServer, keyId: string): Promise<number> {
	const columns = await server.sql<{ table: string; column: string }>(
		`select c.table_name as table, c.column_name as column from information_schema.columns c
		join information_schema.tables t using (table_schema, table_name)
		where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.data_type in ('text', 'jsonb', 'ARRAY')`,
	);
	let total = 0;
	for (const { table, column } of columns) {
		const [row] = await server.sql<{ count: number }>(
			`select count(*)::int as count from "${table}" where "${column}"::text like '%v1.${keyId}.%'`,
		);
		total += row?.count ?? 0;
	}
	return total;
}

describe("changing the encryption key", () => {
	it("goes without downtime: two keys, re-encrypt, and the old one away, while webhooks are sent", async () => {
		const clerk = await startFakeClerk({ users: 3 });
		onTestFinished(() => clerk.close());
		const env = { CLERK_API_URL: clerk.origin };
		// Holds the database, which goes with it, and does nothing.
		const base = await startTestServer({ env: { ROLE: "api" }, keys: [newKey, testKey] });
		const start = async (keys: (typeof testKey)[]) => {
			const server = await startTestServer({ env, keys, databaseUrl: base.databaseUrl, keep: true });
			onTestFinished(() => server.close());
			return server;
		};
		const first = await start([testKey, newKey]);
		const tenant = await first.tenant();
		await connect({ server: first, clerk, tenant });
		const preview = await made(first, tenant);
		const owner = await addOrganization(first);
		const receiver = await receiving();
		const endpoint = await addEndpoint(first, owner, {
			url: `${receiver.url}/hook`,
			event_types: ["tick"],
			secret_headers: { "x-token": "to-be-kept" },
		});
		await holdGrant(first, owner.organizationId, tenant.projectId);
		const second = await start([newKey, testKey]);
		const read = async (server: TestServer) => [
			await previewUrl(server, tenant, preview.id),
			(await server.call("GET", `/v1/projects/${tenant.projectId}/connections`, { key: tenant.key })).body,
		];
		const before = await read(first);
		await first.close();
		await expect(start([newKey])).rejects.toThrow(StartRefused);

		let isOver = false;
		let published = 0;
		const publishing = (async () => {
			while (!isOver) {
				await publish(second, owner, { type: "tick", data: published });
				published += 1;
			}
		})();
		const done = await runCli(reencrypt, variables(second));
		isOver = true;
		await publishing;
		expect(done).toMatchObject({ code: 0, json: { key_id: "new", unreadable: [], keys_in_use: ["new"] } });
		expect(done.json.forgotten).toEqual(["test"]);
		for (const [column, count] of Object.entries(done.json.resealed))
			expect([column, count]).not.toEqual([column, 0]);
		expect(await countSealed(second, "test")).toBe(0);
		expect(await countSealed(second, "new")).toBeGreaterThan(5);

		const last = await start([newKey]);
		await second.close();
		expect(await read(last)).toEqual(before);
		await publish(last, owner, { type: "tick", data: "last" });
		const requests = await receiver.waitFor(published + 1);
		expect(requests).toHaveLength(published + 1);
		for (const request of requests) {
			expect(ownSignatures(request, [endpoint.secret])).toBe(true);
			expect(request.headers["x-token"]).toBe("to-be-kept");
		}
		expect((await send({ server: last, clerk, tenant }, "user.created", newUser())).status).toBe(200);
		const path = `/v1/projects/${tenant.projectId}/integrations/clerk/sync`;
		const { body } = await last.call("POST", path, { key: tenant.key });
		expect(await endedJob(last, tenant, body.job.id)).toMatchObject({ state: "completed" });
		expect(await getIntegration(last, tenant)).toMatchObject({ state: "active" });
	});

	it("goes on where a run was killed, and names what no key opens", async () => {
		const server = await startTestServer({ keys: [testKey, newKey] });
		const owner = await addOrganization(server);
		const endpoint = await addEndpoint(server, owner, { url: "https://example.com/hook" });
		const [lost] = await seedSecrets(server, owner.organizationId, endpoint.id, 2_000);
		// The third batch waits here, and the run with it.
		const holder = new pg.Client({ connectionString: server.databaseUrl });
		await holder.connect();
		onTestFinished(() => holder.end());
		await holder.query("begin");
		await holder.query(
			"select from endpoint_secrets where id = (select id from endpoint_secrets order by id offset 1200 limit 1) for update",
		);

		const killed = spawnCli(reencrypt, variables(server));
		let told = "";
		killed.stderr.setEncoding("utf8").on("data", (text: string) => {
			told += text;
		});
		await until(() => told.match(/endpoint_secrets/g)?.length === 2, { what: "two batches" });
		killed.kill("SIGKILL");
		await once(killed, "exit");
		await holder.query("rollback");
		const left = await countSealed(server, "test");
		expect(left).toBeGreaterThan(0);
		expect(left).toBeLessThan(2_000);

		await server.sql("update endpoint_secrets set secret = 'v1.test.damaged' where id = $1", [
			toUuid(lost ?? ""),
		]);
		const refused = await runCli(reencrypt, variables(server));
		expect(refused).toMatchObject({
			code: 1,
			json: {
				unreadable: [`endpoint_secrets.secret of ${lost}`],
				keys_in_use: ["new", "test"],
				forgotten: [],
			},
		});
		await server.sql("delete from endpoint_secrets where id = $1", [toUuid(lost ?? "")]);
		const done = await runCli(reencrypt, variables(server));
		expect(done).toMatchObject({ code: 0, json: { keys_in_use: ["new"], forgotten: ["test"] } });
		const vault = createVault([newKey]);
		const rows = await server.sql<{ id: string; secret: string }>("select id, secret from endpoint_secrets");
		expect(rows).toHaveLength(2_000);
		for (const { id, secret } of rows) {
			const place = { row: fromUuid("src", id), column: "endpoint_secrets.secret" };
			expect(vault.open(secret, place)).toMatch(/^whsec_/);
		}
	});

	it("covers every column that src seals", async () => {
		const server = await startTestServer();
		const src = fileURLToPath(new URL("../../src", import.meta.url));
		const files = (await readdir(src, { recursive: true })).filter((name) => name.endsWith(".ts"));
		const texts = await Promise.all(files.map((name) => readFile(join(src, name), "utf8")));
		const named = texts.flatMap((text) =>
			[...text.matchAll(/column: "([a-z_]+\.[a-z_]+)"/g)].map(([, name]) => name),
		);
		expect(named.length).toBeGreaterThan(5);
		expect([...new Set(named)].sort()).toEqual(server.ctx.stores.sealed.columns().sort());
	});
});

/** A grant that waits to be confirmed, as a callback without its cookie leaves it. */
async function holdGrant(server: TestServer, organizationId: string, projectId: string): Promise<void> {
	const held = createVault([testKey]).seal("{}", { row: "hash", column: "oauth_flows.held_grant" });
	await server.sql(
		`insert into oauth_flows (token_hash, organization_id, project_id, provider, actor_kind, held_grant, expires_at)
		values ('hash', $1, $2, 'vercel', 'user', $3, clock_now() + interval '10 minutes')`,
		[toUuid(organizationId), toUuid(projectId), held],
	);
}

/** Gives an endpoint that many secrets more, sealed with the old key. Returns their ids. */
async function seedSecrets(
	server: TestServer,
	organizationId: string,
	endpointId: string,
	count: number,
): Promise<string[]> {
	const vault = createVault([testKey]);
	const rows = await server.sql<{ id: string }>("select uuid_v7() as id from generate_series(1, $1)", [
		count,
	]);
	const ids = rows.map(({ id }) => fromUuid("src", id));
	const sealed = ids.map((row) => vault.seal(`whsec_${row}`, { row, column: "endpoint_secrets.secret" }));
	await server.sql(
		`insert into endpoint_secrets (id, organization_id, endpoint_id, secret)
		select id, $1, $2, secret from unnest($3::uuid[], $4::text[]) as s(id, secret)`,
		[toUuid(organizationId), toUuid(endpointId), ids.map(toUuid), sealed],
	);
	return ids;
}
