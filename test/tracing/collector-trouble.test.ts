import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import {
	addEndpoint,
	addOrganization,
	type Body,
	type Owner,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { startCollector } from "./collector.ts";

const run = promisify(execFile);

it("no span holds a secret, a path, a query, a header or a payload", async () => {
	const planted = "planted-secret-7d2e";
	const collector = await startCollector();
	const server = await startTestServer({ env: collector.env });
	const receiver = await receiving();
	const owner = await addOrganization(server);
	const { id, secret } = await addEndpoint(server, owner, {
		url: `${receiver.url}/${planted}?token=${planted}`,
		secret_headers: { "x-a": planted },
		headers: { "x-b": planted },
	});
	await publish(server, owner, { type: "a.b", data: { planted }, idempotency_key: planted });
	await server.call("GET", `/v1/${planted}?code=${planted}`, {
		key: planted,
		headers: { "x-planted": planted },
	});
	await server.call("POST", `/v1/integrations/vercel/webhook/${planted}/${planted}`, {
		key: null,
		rawBody: planted,
	});
	await receiver.waitFor(1);
	await collector.find("the attempt", ({ attributes }) => attributes["capydb.endpoint_id"] === id);
	await until(() => collector.spans().filter(({ kind }) => kind === "server").length >= 6);
	const sent = Buffer.concat(collector.requests.map(({ body }) => body)).toString("latin1");
	for (const hidden of [planted, secret, owner.key, server.adminToken]) expect(sent).not.toContain(hidden);
});

it("a collector that refuses costs no delivery, and one line of the log", async () => {
	const { log, lines } = createMemoryLog();
	const refusing = await startCollector();
	refusing.respondWith(400);
	const server = await startTestServer({ env: refusing.env, log });
	await deliverMany(server, 40);
	await until(() => refusing.requests.length >= 3);
	expect(lines.filter((line) => line.includes("collector"))).toHaveLength(1);
});

it("a collector that hangs holds up nothing, not the end either, and a bounded number of spans", async () => {
	const hanging = await startCollector();
	hanging.respondWith("hang");
	const queueMax = 20;
	const env = { ...hanging.env, OTEL_BSP_MAX_QUEUE_SIZE: String(queueMax) };
	const server = await startTestServer({ env, keep: true });
	await deliverMany(server, 120);
	await server.close();
	expect(hanging.batches().length).toBeGreaterThan(0);
	// More would have gathered behind a post that hangs.
	for (const batch of hanging.batches()) expect(batch.length).toBeLessThanOrEqual(queueMax);
});

it("without a collector nothing is traced, and what traces is not even loaded", async () => {
	const server = await startTestServer();
	const receiver = await deliverMany(server, 1);
	expect(receiver.requests[0]?.headers).not.toHaveProperty("traceparent");
	expect(await loadedBy("../../src/server.ts")).toEqual([]);
	expect(await loadedBy("../../src/platform/open-telemetry.ts")).toContain("@opentelemetry/sdk-trace");
});

async function deliverMany(server: TestServer, count: number) {
	const owner: Owner = await addOrganization(server);
	const receiver = await receiving();
	await addEndpoint(server, owner, { url: receiver.url });
	for (let sent = 0; sent < count; sent += 1)
		await publish(server, owner, { type: "a.b", data: sent } as Body);
	await receiver.waitFor(count);
	return receiver;
}

/** The packages of OpenTelemetry that a process loads with a module, but for the API, which prom-client asks for. */
async function loadedBy(module: string): Promise<string[]> {
	const script = `
		import { registerHooks } from "node:module";
		const seen = new Set();
		registerHooks({ resolve: (specifier, context, next) => {
			if (/^@opentelemetry\\/(?!api$)/.test(specifier)) seen.add(specifier);
			return next(specifier, context);
		} });
		await import(process.argv[1]);
		console.log(JSON.stringify([...seen]));
		process.exit(0);`;
	const path = fileURLToPath(new URL(module, import.meta.url));
	const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script, path]);
	return JSON.parse(stdout);
}
