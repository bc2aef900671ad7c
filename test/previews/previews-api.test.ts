import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { auditActions } from "../projects/project-databases.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { ask, made } from "./preview-server.ts";

let server: TestServer;
let tenant: Tenant;
let other: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant("one");
	other = await server.tenant("two");
});
afterAll(() => server.close());

async function scopedKey(scopes: string[], projectId: string | null = null): Promise<string> {
	const { body } = await server.call("POST", `/v1/organizations/${tenant.organizationId}/api-keys`, {
		key: tenant.key,
		body: { name: "scoped", scopes, project_id: projectId },
	});
	return body.plaintext_api_key;
}

describe("POST /v1/projects/{projectID}/preview-databases", () => {
	it("answers 202 with the provisioning preview and its job, also without a body, and makes a name", async () => {
		const path = `/v1/projects/${tenant.projectId}/preview-databases`;
		const headers = { "content-type": "application/json" };
		const { status, body } = await server.call("POST", path, { key: tenant.key, headers });
		expect(status).toBe(202);
		expect(body.preview).toMatchObject({ mode: "empty", state: "provisioning" });
		expect(body.preview.name).toMatch(/^preview-[0-9a-z]{8}$/);
		expect(body.job).toMatchObject({ type: "branch.create", preview_database_id: body.preview.id });
	});

	it("makes one of two that ask for a name at once, and refuses the other", async () => {
		const answers = await Promise.all([1, 2, 3, 4].map(() => ask(server, tenant, { name: "same" })));
		expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409]);
		const refused = answers.find(({ status }) => status === 409);
		expect(refused?.body.code).toBe("preview.name_taken");
		expect(refused?.body.error).toContain("`name`");
		expect((await ask(server, other, { name: "same" })).status).toBe(202);
	});

	it.each([
		[{ name: "" }, "name"],
		[{ name: "x".repeat(101) }, "name"],
		[{ name: "a\u0000b" }, "name"],
		[{ mode: "copy" }, "mode"],
		[{ ttl: 3 }, "ttl"],
	])("refuses %j with a sentence that names the field", async (body, field) => {
		const answer = await ask(server, tenant, body);
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(`\`${field}\``);
	});

	it("clones only a project that is ready", async () => {
		const { body } = await server.call("POST", "/v1/projects", { key: tenant.key, body: { name: "new" } });
		await server.sql("update projects set state = 'failed' where slug = $1", [body.project.slug]);
		const path = `/v1/projects/${body.project.id}/preview-databases`;
		const cloned = await server.call("POST", path, { key: tenant.key, body: { mode: "clone" } });
		expect([cloned.status, cloned.body.code]).toEqual([409, "project.not_ready"]);
		expect((await server.call("POST", path, { key: tenant.key })).status).toBe(202);
	});
});

describe("GET /v1/projects/{projectID}/preview-databases", () => {
	it("lists all of the project's, newest first, and pages when asked", async () => {
		const { organizationId, projectId, key } = await server.tenant();
		const made = [];
		for (const name of ["a", "b", "c"]) {
			made.unshift((await ask(server, { organizationId, projectId, key }, { name })).body.preview.id);
		}
		const path = `/v1/projects/${projectId}/preview-databases`;
		const idsOf = (body: { preview_databases: { id: string }[] }) =>
			body.preview_databases.map(({ id }) => id);
		const all = await server.call("GET", path, { key });
		expect(idsOf(all.body)).toEqual(made);
		expect(all.body.next_cursor).toBeNull();
		const first = await server.call("GET", `${path}?limit=2`, { key });
		expect(idsOf(first.body)).toEqual(made.slice(0, 2));
		const rest = await server.call("GET", `${path}?limit=2&cursor=${first.body.next_cursor}`, { key });
		expect([idsOf(rest.body), rest.body.next_cursor]).toEqual([made.slice(2), null]);
		const usage = await server.call("GET", `/v1/organizations/${organizationId}/usage`, { key });
		expect(usage.body.usage).toMatchObject({ projects: 1, preview_databases: 3 });
	});
});

describe("access to preview databases", () => {
	const routes: [method: string, suffix: string, scope: string][] = [
		["GET", "", "projects:read"],
		["GET", "/connections", "credentials:read"],
		["POST", "/extend", "projects:write"],
		["POST", "/reset", "projects:write"],
		["DELETE", "", "projects:write"],
	];

	it("is for the scope of each route, and for nobody without a key", async () => {
		for (const [method, suffix, scope] of routes) {
			const { path } = await made(server, tenant);
			const call = (key: string | null) => server.call(method, `${path}${suffix}`, { key });
			expect((await call(null)).status, suffix).toBe(401);
			const wrong = ["projects:read", "projects:write", "credentials:read"].filter((each) => each !== scope);
			expect((await call(await scopedKey(wrong))).status, `${method} ${suffix}`).toBe(403);
			expect([200, 202], `${method} ${suffix}`).toContain((await call(await scopedKey([scope]))).status);
		}
		expect(await auditActions(server, tenant)).toContain("preview.credentials_read");
	});

	it("is a 404 to another organization and a 403 to a key of another project", async () => {
		const { path } = await made(server, tenant);
		const { body } = await server.call("POST", "/v1/projects", { key: tenant.key, body: { name: "second" } });
		const outside = await scopedKey(["projects:read", "projects:write", "credentials:read"], body.project.id);
		for (const [method, suffix] of routes) {
			const stranger = await server.call(method, `${path}${suffix}`, { key: other.key });
			expect([stranger.status, stranger.body.code]).toEqual([404, "preview_database.not_found"]);
			expect((await server.call(method, `${path}${suffix}`, { key: outside })).status).toBe(403);
		}
		for (const id of ["pvw_00000000000000000000000000", "nonsense", tenant.projectId]) {
			const { status } = await server.call("GET", `/v1/preview-databases/${id}`, { key: tenant.key });
			expect(status).toBe(404);
		}
	});
});

describe("the reference", () => {
	it("names the operations as the clients do", async () => {
		const { body } = await server.call("GET", "/v1/openapi.json", { key: null });
		const named = (path: string, method: string) => body.paths[path]?.[method]?.operationId;
		const collection = "/v1/projects/{projectID}/preview-databases";
		const one = "/v1/preview-databases/{previewID}";
		expect([named(collection, "get"), named(collection, "post")]).toEqual([
			"listPreviewDatabases",
			"createPreviewDatabase",
		]);
		expect([named(one, "get"), named(one, "delete")]).toEqual([
			"getPreviewDatabase",
			"deletePreviewDatabase",
		]);
		expect([named(`${one}/reset`, "post"), named(`${one}/extend`, "post")]).toEqual([
			"resetPreviewDatabase",
			"extendPreviewDatabase",
		]);
		expect(named(`${one}/connections`, "get")).toBe("getPreviewDatabaseConnections");
	});
});
