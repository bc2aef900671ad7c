import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
	type AddedEndpoint,
	addEndpoint,
	addKey,
	addOrganization,
	createEndpoint,
	getBody,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let owner: Tenant;
let endpoint: AddedEndpoint;

const url = "http://127.0.0.1:9999/hook";

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	owner = await server.tenant();
});
afterAll(() => server.close());
beforeEach(async () => {
	endpoint = await addEndpoint(server, owner, { url });
});

const routes = (path: string): [method: string, path: string, body?: unknown][] => [
	["GET", path.replace(/\/whe_.*/, "")],
	["POST", path.replace(/\/whe_.*/, ""), { url }],
	["GET", path],
	["PATCH", path, { name: "x" }],
	["POST", `${path}/rotate-secret`],
	["POST", `${path}/test`],
	["GET", `${path}/deliveries`],
	["DELETE", path],
];

describe("webhook endpoint routes", () => {
	it("answer 404 to another tenant, also below its own organization", async () => {
		const stranger = await addOrganization(server);
		for (const [method, path, body] of routes(endpoint.path)) {
			const answer = await server.call(method, path, { key: stranger.key, body });
			expect([method, path, answer.status]).toEqual([method, path, 404]);
		}
		const ownPath = endpoint.path.replace(owner.organizationId, stranger.organizationId);
		for (const [method, path, body] of routes(ownPath).filter(([, path]) => path.includes("/whe_"))) {
			const answer = await server.call(method, path, { key: stranger.key, body });
			expect([method, path, answer.status]).toEqual([method, path, 404]);
		}
		expect((await getBody(server, owner, endpoint.path)).webhook_endpoint).toEqual(endpoint.wire);
	});

	it("need organizations:read to read and organizations:write to change", async () => {
		const reader = await addKey(server, owner.organizationId, { scopes: ["organizations:read"] });
		const writer = await addKey(server, owner.organizationId, { scopes: ["organizations:write"] });
		const other = await addKey(server, owner.organizationId, {
			scopes: ["projects:write", "jobs:read", "credentials:read"],
		});
		for (const [method, path, body] of routes(endpoint.path)) {
			const isRead = method === "GET";
			const statuses = await Promise.all(
				[isRead ? writer : reader, other].map(
					async (key) => (await server.call(method, path, { key, body })).status,
				),
			);
			expect([method, path, ...statuses]).toEqual([method, path, 403, 403]);
			const allowed = await server.call(method, path, { key: isRead ? reader : writer, body });
			expect([method, path, allowed.status < 300]).toEqual([method, path, true]);
		}
	});

	it("are closed to a key of one project", async () => {
		const key = await addKey(server, owner.organizationId, { scopes: ["*"], project_id: owner.projectId });
		for (const [method, path, body] of routes(endpoint.path)) {
			const answer = await server.call(method, path, { key, body });
			expect([method, path, answer.status, answer.body.code]).toEqual([method, path, 403, "project.limit"]);
		}
	});
});

describe("an endpoint of one project", () => {
	it("gets only events of that project", async () => {
		const receiver = await receiving();
		await addEndpoint(server, owner, { url: receiver.url, project_id: owner.projectId });
		await publish(server, owner, { type: "unscoped", data: 1 });
		const { body: created } = await server.call("POST", "/v1/projects", {
			key: owner.key,
			body: { name: "other" },
		});
		await publish(server, owner, { type: "other", data: 1, project_id: created.project.id });
		await publish(server, owner, { type: "own", data: 1, project_id: owner.projectId });
		await receiver.waitFor(1);
		await until(async () => {
			const { body } = await server.call("GET", `/v1/jobs/${created.job.id}`, { key: owner.key });
			return body.job.state === "completed";
		});
		expect(receiver.requests.map((request) => request.headers["x-capydb-event"])).toEqual(["own"]);
	});

	it("cannot be of a project of another organization, nor of a malformed one", async () => {
		const stranger = await addOrganization(server);
		for (const projectId of [owner.projectId, "prj_x", "", "org_01h455vb4pex5vsknk084sn02q"]) {
			const { status, body } = await createEndpoint(server, stranger, { url, project_id: projectId });
			expect(status).toBe(400);
			expect(body.error).toContain("project_id");
		}
	});

	it("becomes one of the whole organization again with null", async () => {
		const { path, wire } = await addEndpoint(server, owner, { url, project_id: owner.projectId });
		expect(wire.project_id).toBe(owner.projectId);
		const { body } = await server.call("PATCH", path, { key: owner.key, body: { project_id: null } });
		expect(body.webhook_endpoint.project_id).toBeNull();
	});
});
