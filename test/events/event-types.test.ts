import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addEndpoint, newestDelivery, postEvents, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { faultsOf } from "./catalogue.ts";

/** Receivers subscribe to these by name: none may go, and a new one comes here too. */
const serverTypes = [
	...["job.completed", "job.failed", "project.ready", "project.deleted", "preview.ready", "preview.deleted"],
	...["credentials.rotated", "integration.connected", "integration.disconnected", "integration.error"],
	...[
		"deployment.created",
		"deployment.ready",
		"deployment.failed",
		"deployment.canceled",
		"deployment.promoted",
	],
	...[
		"user.created",
		"user.updated",
		"user.deleted",
		"endpoint.disabled",
		"delivery.exhausted",
		"webhook.test",
	],
];
const publisherTypes = [
	...["backup.completed", "import.completed", "restore.completed", "alert.triggered", "alert.resolved"],
];

type Listed = {
	type: string;
	description: string;
	published_by: string;
	schema: Record<string, unknown>;
	example: { id: string; type: string; created_at: string; data: unknown };
};

let server: TestServer;
let tenant: Tenant;
let listed: Listed[];

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0" } });
	tenant = await server.tenant();
	listed = (await server.call("GET", "/v1/webhook-event-types", { key: tenant.key })).body.event_types;
});
afterAll(() => server.close());

describe("the catalogue of event types", () => {
	it("lists these types and no others, and who publishes it", () => {
		const of = (publisher: string) =>
			listed.filter((each) => each.published_by === publisher).map(({ type }) => type);
		expect(of("server")).toEqual(serverTypes);
		expect(of("publisher")).toEqual(publisherTypes);
		for (const { description } of listed) expect(description).not.toBe("");
	});

	it("needs a credential", async () => {
		expect((await server.call("GET", "/v1/webhook-event-types", { key: null })).status).toBe(401);
	});

	it.each([...serverTypes, ...publisherTypes])("has an example of %s that is of its schema", (type) => {
		const { example } = listed.find((each) => each.type === type) as Listed;
		expect(faultsOf(example)).toBeNull();
		const { data: _data, ...incomplete } = example;
		expect(faultsOf(incomplete)).not.toBeNull();
		expect(faultsOf({ ...example, data: 1 } as Listed["example"])).not.toBeNull();
	});

	it("is also in the OpenAPI document, as `webhooks`", async () => {
		const { body } = await server.call("GET", "/v1/openapi.json", { key: null });
		expect(Object.keys(body.webhooks)).toEqual([...serverTypes, ...publisherTypes]);
		for (const { type, schema, example } of listed) {
			const content = body.webhooks[type].post.requestBody.content["application/json"];
			expect(content).toEqual({ schema, example });
		}
	});

	it.each(serverTypes)("keeps %s from publishers", async (type) => {
		const owner = { organizationId: tenant.organizationId, key: tenant.key };
		const answer = await postEvents(server, owner, JSON.stringify({ type, data: {} }));
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(type);
	});

	it.each(publisherTypes)("lets publishers send %s", async (type) => {
		const owner = { organizationId: tenant.organizationId, key: tenant.key };
		expect((await postEvents(server, owner, JSON.stringify({ type, data: {} }))).status).toBe(202);
	});

	it("is what the server really sends", async () => {
		const { organizationId, projectId, key } = tenant;
		const owner = { organizationId, key };
		const receiver = await receiving();
		const names = ["job.completed", "project.*", "credentials.rotated", "webhook.test"];
		const operational = ["endpoint.disabled", "delivery.exhausted"];
		const url = receiver.url;
		const endpoint = await addEndpoint(server, owner, { url, event_types: [...names, ...operational] });
		await server.call("POST", `${endpoint.path}/test`, { key });
		await server.call("POST", `/v1/projects/${projectId}/credentials/rotate`, { key });
		const failing = await receiving();
		failing.respondWith(500, 410);
		const other = await addEndpoint(server, owner, { url: failing.url, event_types: ["a.b"] });
		for (const state of ["delivery.exhausted", "endpoint.disabled"]) {
			await postEvents(server, owner, '{"type":"a.b","data":1}');
			await newestDelivery(server, owner, other, (each) => each.state === "failed");
			await receiver.waitFor((all) => all.some(({ headers }) => headers["x-capydb-event"] === state));
		}
		await until(() => receiver.requests.some(({ headers }) => headers["x-capydb-event"] === "job.completed"));
		await server.call("DELETE", `/v1/projects/${projectId}`, { key });
		const wanted = [
			"credentials.rotated",
			"job.completed",
			"project.deleted",
			"webhook.test",
			...operational,
		];
		const requests = await receiver.waitFor(
			(all) => wanted.every((type) => all.some(({ headers }) => headers["x-capydb-event"] === type)),
			20_000,
		);
		for (const { body } of requests) expect(faultsOf(JSON.parse(String(body)))).toBeNull();
	});
});
