import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { ownSignatures } from "../deliveries/signatures.ts";
import {
	addEndpoint,
	getBody,
	listDeliveries,
	newestDelivery,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { debianBinaries, startDebianCluster } from "../previews/debian-cluster.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const run = promisify(execFile);

it("a backup of the database and its keys, put back elsewhere, goes on with all that it held, and sends what was sent since then again with the same ids", async () => {
	const cluster = await startDebianCluster();
	onTestFinished(() => cluster.stop());
	const folder = await mkdtemp(join(tmpdir(), "capydb-backup-"));
	onTestFinished(() => rm(folder, { recursive: true, force: true }));
	const dump = join(folder, "capydb.dump");
	const start = async (databaseUrl: string): Promise<TestServer> => {
		const env = { PROJECT_CLUSTER_URL: cluster.url, WEBHOOK_RETRY_SCHEDULE: "0,3600" };
		const server = await startTestServer({ databaseUrl, keep: true, env });
		onTestFinished(() => server.close());
		return server;
	};

	const lost = await start(await createDatabase(cluster.url, "capydb"));
	const tenant = await lost.tenant();
	const receiver = await receiving();
	const endpoint = await addEndpoint(lost, tenant, { url: `${receiver.url}/hook`, event_types: ["a"] });
	receiver.respondWith(200, 500, 200);
	const { event: sent } = await publish(lost, tenant, { type: "a", data: "sent" });
	await newestDelivery(lost, tenant, endpoint, (delivery) => delivery.state === "delivered");
	const { event: waiting } = await publish(lost, tenant, { type: "a", data: "waiting" });
	await newestDelivery(lost, tenant, endpoint, (delivery) => delivery.attempts === 1);
	const path = `/v1/projects/${tenant.projectId}/connections`;
	const connections = await getBody(lost, tenant, path);

	// With the server running, as the README has it.
	await run(join(debianBinaries, "pg_dump"), ["--format=custom", `--file=${dump}`, lost.databaseUrl]);
	await passTime(lost, 2 * 3600_000, endpoint);
	await newestDelivery(lost, tenant, endpoint, (delivery) => delivery.state === "delivered");
	await publish(lost, tenant, { type: "a", data: "after the backup" });
	await newestDelivery(lost, tenant, endpoint, (delivery) => delivery.state === "delivered");
	await lost.close();
	const restoredUrl = await createDatabase(cluster.url, "restored");
	const restore = ["--no-owner", "--exit-on-error", `--dbname=${restoredUrl}`, dump];
	await run(join(debianBinaries, "pg_restore"), restore);

	const restored = await start(restoredUrl);
	expect((await restored.call("GET", "/readyz", { key: null })).body.checks.migrations).toBe("ok");
	expect(await getBody(restored, tenant, path)).toEqual(connections);
	const client = new pg.Client({ connectionString: connections.connections.direct_url });
	await client.connect();
	await client.end();
	expect(await listDeliveries(restored, tenant, endpoint)).toMatchObject([
		{ event_id: waiting.id, state: "pending", attempts: 1 },
		{ event_id: sent.id, state: "delivered" },
	]);
	await passTime(restored, 2 * 3600_000, endpoint);
	await newestDelivery(restored, tenant, endpoint, (delivery) => delivery.state === "delivered");
	const sends = receiver.requests.filter(({ headers }) => headers["webhook-id"] === waiting.id);
	const [failed, sinceBackup, again] = sends.map(({ headers, body }) => [
		headers["x-capydb-delivery"],
		body.toString(),
	]);
	expect(sends).toHaveLength(3);
	expect(sinceBackup).toEqual(failed);
	expect(again).toEqual(failed);
	expect(sends.every((request) => ownSignatures(request, [endpoint.secret]))).toBe(true);
	await publish(restored, tenant, { type: "a", data: "new" });
	await newestDelivery(restored, tenant, endpoint, (delivery) => delivery.state === "delivered");
	expect(await listDeliveries(restored, tenant, endpoint)).toHaveLength(3);
});

async function createDatabase(clusterUrl: string, name: string): Promise<string> {
	const admin = new pg.Client({ connectionString: clusterUrl });
	await admin.connect();
	await admin.query(`create database "${name}"`);
	await admin.end();
	const url = new URL(clusterUrl);
	url.pathname = `/${name}`;
	return url.href;
}
