import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { startProxy } from "../crash/proxy.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";

let server: TestServer;
let tenant: Tenant;
let other: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant("one");
	other = await server.tenant("two");
});
afterAll(() => server.close());

function create(body: unknown, key: string | undefined = tenant.key) {
	return server.call("POST", "/v1/projects", { body, ...(key === undefined ? {} : { key }) });
}

async function scopedKey(scopes: string[], projectId: string | null = null): Promise<string> {
	const { body } = await server.call("POST", `/v1/organizations/${tenant.organizationId}/api-keys`, {
		key: tenant.key,
		body: { name: "scoped", scopes, project_id: projectId },
	});
	return body.plaintext_api_key;
}

describe("POST /v1/projects", () => {
	it("answers 201 with the provisioning project and its job, the name as it was sent", async () => {
		const name = " Ünïcode  ☃ ";
		const { status, body } = await create({ name, environment: "non_production", region: "self-hosted" });
		expect(status).toBe(201);
		expect(body.project).toMatchObject({ name, state: "provisioning", environment: "non_production" });
		expect(body.job).toMatchObject({ type: "instance.create", project_id: body.project.id });
		expect(body.job.locked_resource).toBe(`project:${body.project.id}`);
	});

	it("has no connections while it is provisioning", async () => {
		const { body } = await create({ name: "x" });
		await server.sql("update projects set state = 'provisioning' where slug = $1", [body.project.slug]);
		const { status, body: refused } = await server.call(
			"GET",
			`/v1/projects/${body.project.id}/connections`,
			{
				key: tenant.key,
			},
		);
		expect(status).toBe(409);
		expect(refused.code).toBe("project.not_ready");
	});

	it("takes the cluster's major version and no other", async () => {
		const [row] = await server.sql<{ major: number }>(
			"select current_setting('server_version_num')::int / 10000 as major",
		);
		expect((await create({ name: "v", postgres_version: row?.major })).status).toBe(201);
		const { status, body } = await create({ name: "v", postgres_version: 9 });
		expect(status).toBe(400);
		expect(body.error).toContain("postgres_version");
	});

	it("asks for patience while the cluster cannot tell its version, and needs none without one", async () => {
		const { hostname: host, port } = new URL(inject("clusterUrl"));
		const proxy = await startProxy({ host, port: Number(port) });
		onTestFinished(() => proxy.close());
		const behind = await startTestServer({ env: { PROJECT_CLUSTER_URL: proxy.wayOf(inject("clusterUrl")) } });
		const { body: made } = await behind.call("POST", "/v1/organizations", { body: { name: "patient" } });
		const post = (body: object) =>
			behind.call("POST", "/v1/projects", { body: { organization_id: made.organization.id, ...body } });
		proxy.become("cut");
		const { status, body, headers } = await post({ name: "v", postgres_version: 18 });
		expect([status, body.code, headers.get("retry-after")]).toEqual([503, "cluster.unavailable", "5"]);
		expect(body.error).toContain("postgres_version");
		expect((await post({ name: "v" })).status).toBe(201);
	});

	it("refuses a slug that another project of the organization has", async () => {
		expect((await create({ name: "s", slug: "taken" })).status).toBe(201);
		const again = await create({ name: "s", slug: "taken" });
		expect([again.status, again.body.code]).toEqual([409, "slug.taken"]);
		expect((await create({ name: "s", slug: "taken" }, other.key)).status).toBe(201);
	});

	it("needs an organization from the operator, and takes only its own from a key", async () => {
		const none = await create({ name: "a" }, server.adminToken);
		expect([none.status, none.body.code]).toEqual([400, "organization_id.invalid"]);
		const own = await create({ name: "a", organization_id: tenant.organizationId });
		expect(own.status).toBe(201);
		const named = await create({ name: "a", organization_id: other.organizationId }, server.adminToken);
		expect(named.body.project.organization_id).toBe(other.organizationId);
		for (const id of [other.organizationId, "org_00000000000000000000000000", "nonsense"]) {
			expect((await create({ name: "a", organization_id: id })).status).toBe(404);
		}
		expect(
			(await create({ name: "a", organization_id: "org_01hzzzzzzzzzzzzzzzzzzzzzzz" }, server.adminToken))
				.status,
		).toBe(404);
	});

	it.each([
		[{}, "name"],
		[{ name: "" }, "name"],
		[{ name: 7 }, "name"],
		[{ name: "a\u0000b" }, "name"],
		[{ name: "x".repeat(101) }, "name"],
		[{ name: "a", slug: "Not A Slug" }, "slug"],
		[{ name: "a", region: "eu" }, "region"],
		[{ name: "a", environment: "staging" }, "environment"],
		[{ name: "a", postgres_version: "18" }, "postgres_version"],
		[{ name: "a", direct_url: "postgres://a:b@c/d" }, "direct_url"],
		[{ name: "a", database_url: "postgres://a:b@c,d/e" }, "database_url"],
		[{ name: "a", database_name: "postgres" }, "database_name"],
	])("refuses %j with a sentence that names the field", async (body, field) => {
		const answer = await create(body);
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(`\`${field}\``);
	});

	it("is closed to keys without the scope and to keys of one project, whatever the body says", async () => {
		expect((await create({}, await scopedKey(["projects:read"]))).status).toBe(403);
		expect((await create({}, await scopedKey(["*"], tenant.projectId))).status).toBe(403);
		expect((await server.call("POST", "/v1/projects", { key: null, body: {} })).status).toBe(401);
	});
});

describe("GET /v1/projects", () => {
	it("lists all of the organization's, newest first, and pages when asked", async () => {
		const { body } = await server.call("GET", "/v1/projects", { key: tenant.key });
		const ids = body.projects.map((project: { id: string }) => project.id);
		expect(ids).toContain(tenant.projectId);
		expect(ids).not.toContain(other.projectId);
		expect(ids).toEqual([...ids].sort().reverse());
		expect(body.next_cursor).toBeNull();
		const paged: string[] = [];
		let cursor: string | null = null;
		do {
			const query: string = cursor === null ? "?limit=2" : `?limit=2&cursor=${cursor}`;
			const page = await server.call("GET", `/v1/projects${query}`, { key: tenant.key });
			paged.push(...page.body.projects.map((project: { id: string }) => project.id));
			cursor = page.body.next_cursor;
		} while (cursor !== null);
		expect(paged).toEqual(ids);
	});

	it("takes an organization: the operator any, a key its own", async () => {
		const path = `/v1/projects?organization_id=${other.organizationId}`;
		const { body } = await server.call("GET", path);
		for (const project of body.projects) expect(project.organization_id).toBe(other.organizationId);
		expect((await server.call("GET", path, { key: tenant.key })).status).toBe(404);
		expect((await server.call("GET", "/v1/projects?organization_id=x", { key: tenant.key })).status).toBe(
			404,
		);
	});

	it("shows a key of one project that one only", async () => {
		const key = await scopedKey(["projects:read"], tenant.projectId);
		const { body } = await server.call("GET", "/v1/projects", { key });
		expect(body.projects.map((project: { id: string }) => project.id)).toEqual([tenant.projectId]);
	});
});

describe("one project", () => {
	it("is changed field by field; absent fields stay", async () => {
		const path = `/v1/projects/${tenant.projectId}`;
		const body = { name: "renamed", environment: "non_production", always_on: false };
		const changed = await server.call("PATCH", path, { key: tenant.key, body });
		expect(changed.status).toBe(200);
		expect(changed.body.project).toMatchObject(body);
		const again = await server.call("PATCH", path, { key: tenant.key, body: { always_on: true } });
		expect(again.body.project).toMatchObject({ ...body, always_on: true });
		const { body: unchanged } = await server.call("PATCH", path, { key: tenant.key, body: {} });
		expect(unchanged.project.name).toBe("renamed");
	});

	it("refuses URLs for a database of ours, unknown fields and wrong values", async () => {
		const path = `/v1/projects/${tenant.projectId}`;
		for (const body of [
			{ database_url: "postgres://a:b@c/d" },
			{ slug: "x" },
			{ name: null },
			{ always_on: 1 },
		]) {
			const answer = await server.call("PATCH", path, { key: tenant.key, body });
			expect(answer.status).toBe(400);
			expect(answer.body.error).toContain(Object.keys(body)[0]);
		}
	});

	it.each([
		["GET", ""],
		["PATCH", ""],
		["DELETE", ""],
		["GET", "/connections"],
		["POST", "/credentials/rotate"],
	])("does not exist for another tenant: %s %s", async (method, rest) => {
		const path = `/v1/projects/${tenant.projectId}${rest}`;
		expect((await server.call(method, path, { key: other.key })).status).toBe(404);
		expect((await server.call(method, `/v1/projects/prj_x${rest}`, { key: tenant.key })).status).toBe(404);
		expect((await server.call(method, path, { key: null })).status).toBe(401);
	});

	it("keeps its connections from keys without credentials:read", async () => {
		const key = await scopedKey(["projects:read", "projects:write"]);
		expect((await server.call("GET", `/v1/projects/${tenant.projectId}/connections`, { key })).status).toBe(
			403,
		);
	});
});

describe("GET /v1/regions and GET /v1/me", () => {
	it("name the one region", async () => {
		const { body } = await server.call("GET", "/v1/regions", { key: tenant.key });
		expect(body.regions).toEqual(["self-hosted"]);
		expect(body.region_details).toMatchObject([{ id: "self-hosted" }]);
	});

	it("say who the caller is", async () => {
		const { body } = await server.call("GET", "/v1/me", { key: tenant.key });
		expect(body.organization).toMatchObject({ id: tenant.organizationId, billing_status: "active" });
		expect(body.principal).toEqual({
			auth_source: "api_key",
			is_admin: false,
			scopes: ["*"],
			organization_id: tenant.organizationId,
			project_id: null,
			user_id: null,
			clerk_organization_id: null,
			clerk_organization_role: null,
			clerk_organization_slug: null,
		});
		const { body: admin } = await server.call("GET", "/v1/me");
		expect(admin).toMatchObject({
			organization: null,
			principal: { auth_source: "admin_token", is_admin: true },
		});
		expect((await server.call("GET", "/v1/me", { key: null })).status).toBe(401);
	});
});
