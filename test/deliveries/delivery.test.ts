import { createHmac } from "node:crypto";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startReceiver } from "../support/receiver.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let tenant: Tenant;
let receiver: Awaited<ReturnType<typeof startReceiver>>;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant();
	receiver = await startReceiver();
});

afterAll(async () => {
	await server?.close();
	await receiver?.close();
});

async function createEndpoint(eventTypes: string[], path = "/hook") {
	const { status, body } = await server.call(
		"POST",
		`/v1/organizations/${tenant.organizationId}/webhook-endpoints`,
		{ key: tenant.key, body: { url: `http://127.0.0.1:${receiver.port}${path}`, event_types: eventTypes } },
	);
	expect(status).toBe(201);
	return { id: body.webhook_endpoint.id as string, secret: body.plaintext_secret as string };
}

function received(path: string) {
	return receiver.requests.filter((request) => request.url === path);
}

function publish(rawBody: string) {
	return server.call("POST", `/v1/organizations/${tenant.organizationId}/events`, {
		key: tenant.key,
		rawBody,
	});
}

describe("a delivery", () => {
	it("of a test carries signatures that the public libraries accept, and is listed as delivered", async () => {
		const { id, secret } = await createEndpoint(["nothing.else"], "/test");
		expect(secret).toMatch(/^whsec_/);
		const path = `/v1/organizations/${tenant.organizationId}/webhook-endpoints/${id}`;
		const test = await server.call("POST", `${path}/test`, { key: tenant.key });
		expect(test.status).toBe(202);
		const [request] = await until(() => received("/test").length > 0 && received("/test"));
		const body = request?.body.toString() ?? "";
		const headers = request?.headers as Record<string, string>;
		new Webhook(secret).verify(body, headers);
		new StandardWebhook(secret).verify(body, headers);
		const [, at, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers["x-capydb-signature"] ?? "") ?? [];
		expect(createHmac("sha256", secret).update(`${at}.${body}`).digest("hex")).toBe(mac);
		const listed = await until(async () => {
			const answer = await server.call("GET", `${path}/deliveries`, { key: tenant.key });
			return answer.body.deliveries[0].state === "delivered" && answer.body.deliveries[0];
		});
		expect(listed).toMatchObject({ attempts: 1, max_attempts: 1, response_status: 200, last_error: null });
	});

	it("carries the published bytes as they were sent", async () => {
		await createEndpoint(["bytes.sent"], "/bytes");
		const data = '{"z":1, "a":9007199254740993,"e":1e2,"big":1e400,"u":"\\u00e9\\u0000","a":"twice"}';
		const { status } = await publish(`{"data":${data},"type":"bytes.sent"}`);
		expect(status).toBe(202);
		const [request] = await until(() => received("/bytes").length > 0 && received("/bytes"));
		expect(request?.body.toString()).toContain(`"data":${data}}`);
	});

	it("is one for fifty parallel publishes with one idempotency key", async () => {
		await createEndpoint(["once.only"], "/once");
		const body = JSON.stringify({ type: "once.only", data: {}, idempotency_key: "k1" });
		const answers = await Promise.all(Array.from({ length: 50 }, () => publish(body)));
		expect(new Set(answers.map((answer) => answer.body.event.id)).size).toBe(1);
		const rows = await server.sql("select id from deliveries where event_type = 'once.only'");
		expect(rows).toHaveLength(1);
	});

	it("exists only together with the change that it announces", async () => {
		const { publishEvents } = await import("../../src/events/publish-events.ts");
		const organizationId = tenant.organizationId as `org_${string}`;
		const broken = server.ctx.transaction(async (tx) => {
			await publishEvents(tx, [{ organizationId, projectId: null, type: "broken.change", data: "{}" }]);
			throw new Error("the change failed");
		});
		await expect(broken).rejects.toThrow("the change failed");
		const rows = await server.sql("select id from events where type = 'broken.change'");
		expect(rows).toEqual([]);
	});

	it("to a failing receiver is tried again on the schedule with the same ids", async () => {
		await createEndpoint(["retry.me"], "/retry");
		let failures = 1;
		receiver.respondWith((request: { url: string }) =>
			request.url === "/retry" && failures-- > 0 ? 500 : 200,
		);
		await publish(JSON.stringify({ type: "retry.me", data: {} }));
		await until(async () => {
			const [row] = await server.sql("select attempts, state from deliveries where event_type = 'retry.me'");
			return row?.attempts === 1 && received("/retry").length === 1;
		});
		await server.advance(7_000);
		const [first, second] = await until(() => received("/retry").length === 2 && received("/retry"));
		expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
		expect(second?.headers["x-capydb-delivery"]).toBe(first?.headers["x-capydb-delivery"]);
	});
});

describe("another organization's key", () => {
	it("finds nothing of this one", async () => {
		const { id } = await createEndpoint([], "/foreign");
		const other = await server.tenant("other");
		const base = `/v1/organizations/${tenant.organizationId}`;
		for (const path of [base, `${base}/webhook-endpoints/${id}`, `/v1/projects/${tenant.projectId}`]) {
			const { status } = await server.call("GET", path, { key: other.key });
			expect(status).toBe(404);
		}
	});
});
