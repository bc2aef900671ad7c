import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let tenant: Tenant;
let other: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	tenant = await server.tenant("one");
	other = await server.tenant("two");
});
afterAll(() => server.close());

function path(of: Tenant = tenant): string {
	return `/v1/organizations/${of.organizationId}/api-keys`;
}

function create(body: unknown, key: string = tenant.key) {
	return server.call("POST", path(), { body, key });
}

function me(key: string) {
	return server.call("GET", "/v1/me", { key });
}

describe("creating an API key", () => {
	it("answers 201 with every field, and the key itself this once", async () => {
		const expiresAt = "2099-01-31T12:00:00.000Z";
		const scopes = ["projects:read", "api_keys:write", "jobs:read"];
		const { status, body } = await create({
			name: " ci ☃ ",
			scopes,
			expires_at: expiresAt,
			device_name: "laptop",
		});
		expect(status).toBe(201);
		expect(body.plaintext_api_key).toMatch(/^capy_live_[0-9a-z]{32,}$/);
		expect(body.api_key).toEqual({
			id: expect.stringMatching(/^key_/),
			organization_id: tenant.organizationId,
			project_id: null,
			name: " ci ☃ ",
			key_prefix: body.plaintext_api_key.slice(0, 14),
			scopes,
			source: "api",
			is_active: true,
			device_name: "laptop",
			expires_at: expiresAt,
			last_used_at: null,
			revoked_at: null,
			created_by_user_id: null,
			created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
		});
		expect((await me(body.plaintext_api_key)).body.principal.scopes).toEqual(scopes);
	});

	it("stores the SHA-256 of the key and nothing else of it but the prefix", async () => {
		const { body } = await create({ name: "x", scopes: ["*"] });
		const key = body.plaintext_api_key;
		const rows = await server.sql<{ hash: Buffer; text: string }>(
			"select key_hash as hash, to_jsonb(api_keys)::text as text from api_keys where key_prefix = $1",
			[key.slice(0, 14)],
		);
		const hash = createHash("sha256").update(key).digest();
		const row = rows.find((each) => each.hash.equals(hash));
		expect(row?.text).not.toContain(key.slice(0, 16));
	});

	it.each([
		[{ scopes: ["*"] }, "name"],
		[{ name: "", scopes: ["*"] }, "name"],
		[{ name: "a\u0000", scopes: ["*"] }, "name"],
		[{ name: "a" }, "scopes"],
		[{ name: "a", scopes: [] }, "scopes"],
		[{ name: "a", scopes: "*" }, "scopes"],
		[{ name: "a", scopes: ["projects:admin"] }, "scopes.0"],
		[{ name: "a", scopes: ["jobs:read", "jobs:read"] }, "scopes"],
		[{ name: "a", scopes: ["*"], expires_at: "2001-01-01T00:00:00Z" }, "expires_at"],
		[{ name: "a", scopes: ["*"], expires_at: "tomorrow" }, "expires_at"],
		[{ name: "a", scopes: ["*"], expires_at: "2099-13-01T00:00:00Z" }, "expires_at"],
		[{ name: "a", scopes: ["*"], expires_at: "2099-02-30T00:00:00Z" }, "expires_at"],
		[{ name: "a", scopes: ["*"], expires_at: "2099-01-01T00:00:00" }, "expires_at"],
		[{ name: "a", scopes: ["*"], source: "bootstrap" }, "source"],
		[{ name: "a", scopes: ["*"], is_admin: true }, "is_admin"],
	])("refuses %j with a sentence that names the field", async (body, field) => {
		const answer = await create(body);
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(`\`${field}\``);
	});

	it("never makes a key that may do more than the one that asks", async () => {
		const { body } = await create({ name: "narrow", scopes: ["api_keys:write", "projects:read"] });
		const narrow = body.plaintext_api_key;
		expect((await create({ name: "same", scopes: ["projects:read"] }, narrow)).status).toBe(201);
		for (const scope of ["*", "credentials:read", "api_keys:read"]) {
			const answer = await create({ name: "wider", scopes: ["projects:read", scope] }, narrow);
			expect([answer.status, answer.body.code]).toEqual([403, "scope.wider"]);
		}
		expect((await create({ name: "any", scopes: ["*"] }, server.adminToken)).status).toBe(201);
	});

	it("for one project takes a project of the organization, and no organization scopes", async () => {
		const project = { name: "p", project_id: tenant.projectId };
		for (const scope of ["organizations:read", "organizations:write", "api_keys:read", "api_keys:write"]) {
			const answer = await create({ ...project, scopes: [scope] });
			expect([answer.status, answer.body.code]).toEqual([400, "scopes.invalid"]);
		}
		for (const id of [other.projectId, "prj_x", ""]) {
			expect((await create({ name: "p", project_id: id, scopes: ["jobs:read"] })).status).toBe(404);
		}
		expect((await create({ ...project, scopes: ["jobs:read"] })).body.api_key.project_id).toBe(
			tenant.projectId,
		);
	});
});

describe("the number of API keys", () => {
	it("ends at 1,000 in force: one more is a 409, also when two come at once, until another has ended", async () => {
		const { body } = await server.call("POST", "/v1/organizations", { body: { name: "many keys" } });
		const path = `/v1/organizations/${body.organization.id}/api-keys`;
		const make = () => server.call("POST", path, { body: { name: "one", scopes: ["jobs:read"] } });
		const first = await make();
		await server.sql(
			`insert into api_keys (id, organization_id, name, key_prefix, key_hash, scopes, source, revoked_at, expires_at)
			select uuid_v7(), $1, 'x', 'capy_live_', sha256(gen_random_uuid()::text::bytea), '{*}', 'api',
				case when n > 1100 then clock_now() end, case when n > 998 then clock_now() end
			from generate_series(1, 1200) n`,
			[toUuid(body.organization.id)],
		);
		const both = await Promise.all([make(), make()]);
		expect(both.map(({ status }) => status).toSorted()).toEqual([201, 409]);
		const refused = await make();
		expect([refused.status, refused.body.code]).toEqual([409, "api_key.limit"]);
		expect(refused.body.error).toContain("1,000");
		await server.call("DELETE", `${path}/${first.body.api_key.id}`);
		expect((await make()).status).toBe(201);
	});
});

describe("a key of one project", () => {
	it("reaches its project only, even with scope *", async () => {
		const { body } = await create({ name: "p", project_id: tenant.projectId, scopes: ["*"] });
		const key = body.plaintext_api_key;
		const { body: second } = await server.call("POST", "/v1/projects", {
			key: tenant.key,
			body: { name: "second" },
		});
		expect((await server.call("GET", `/v1/projects/${tenant.projectId}`, { key })).status).toBe(200);
		expect((await server.call("GET", `/v1/projects/${second.project.id}`, { key })).status).toBe(403);
		expect((await server.call("GET", path(), { key })).status).toBe(403);
		expect((await create({ name: "more", scopes: ["jobs:read"] }, key)).status).toBe(403);
	});
});

describe("listing and revoking", () => {
	it("lists every key of the organization, newest first, without the keys themselves", async () => {
		const { body: made } = await create({ name: "listed", scopes: ["jobs:read"] });
		const { body, text } = await server.call("GET", path(), { key: tenant.key });
		const ids = body.api_keys.map((key: { id: string }) => key.id);
		expect(ids[0]).toBe(made.api_key.id);
		expect(ids).toEqual([...ids].sort().reverse());
		expect(text).not.toContain(made.plaintext_api_key);
		const page = await server.call("GET", `${path()}?limit=1`, { key: tenant.key });
		const rest = await server.call("GET", `${path()}?cursor=${page.body.next_cursor}`, { key: tenant.key });
		expect([page.body.api_keys, rest.body.api_keys].flat().map((key) => key.id)).toEqual(ids);
	});

	it("ends a key at once; it stays listed as inactive, and revoking again changes nothing", async () => {
		const { body } = await create({ name: "gone", scopes: ["*"] });
		const one = `${path()}/${body.api_key.id}`;
		expect((await me(body.plaintext_api_key)).status).toBe(200);
		const revoked = await server.call("DELETE", one, { key: tenant.key });
		expect([revoked.status, revoked.body]).toEqual([200, { revoked: true }]);
		expect((await me(body.plaintext_api_key)).status).toBe(401);
		const shown = async () => {
			const list = await server.call("GET", path(), { key: tenant.key });
			return list.body.api_keys.find((key: { id: string }) => key.id === body.api_key.id);
		};
		const first = await shown();
		expect(first).toMatchObject({ is_active: false, revoked_at: expect.any(String) });
		expect((await server.call("DELETE", one, { key: tenant.key })).body).toEqual({ revoked: true });
		expect(await shown()).toEqual(first);
		const { body: audit } = await server.call(
			"GET",
			`/v1/organizations/${tenant.organizationId}/audit-events?limit=250`,
		);
		const actions = audit.audit_events
			.filter((event: { metadata: { api_key_id?: string } }) => event.metadata.api_key_id === body.api_key.id)
			.map((event: { action: string }) => event.action);
		expect(actions).toEqual(["api_key.revoked", "api_key.created"]);
	});

	it("does not exist for another tenant", async () => {
		const { body } = await create({ name: "mine", scopes: ["jobs:read"] });
		expect((await server.call("GET", path(), { key: other.key })).status).toBe(404);
		expect((await server.call("POST", path(), { key: other.key, body: {} })).status).toBe(404);
		const theirs = `${path(other)}/${body.api_key.id}`;
		expect((await server.call("DELETE", theirs, { key: other.key })).status).toBe(404);
		expect((await server.call("DELETE", `${path()}/key_x`, { key: tenant.key })).status).toBe(404);
		expect((await me(body.plaintext_api_key)).status).toBe(200);
	});
});

describe("authentication", () => {
	it("refuses an expired key, by the database's clock", async () => {
		const { body } = await create({ name: "short", scopes: ["*"], expires_at: "2099-01-01T00:00:00Z" });
		await server.sql("update api_keys set expires_at = clock_now() where name = 'short'");
		expect((await me(body.plaintext_api_key)).status).toBe(401);
	});

	it("refuses what is no key, and says the same of all", async () => {
		for (const key of [
			"capy_live_",
			"capy_live_' or 1=1",
			`capy_live_${"a".repeat(4000)}`,
			"x",
			"capy_test_abc",
		]) {
			const answer = await me(key);
			expect([answer.status, answer.body.code]).toEqual([401, "credential.invalid"]);
		}
	});

	it("writes the last use at most once a minute", async () => {
		const { body } = await create({ name: "used", scopes: ["*"] });
		const lastUse = async () => {
			const rows = await server.sql<{ at: Date | null }>(
				"select last_used_at as at from api_keys where name = 'used'",
			);
			return rows[0]?.at ?? null;
		};
		await me(body.plaintext_api_key);
		const first = await until(lastUse);
		await me(body.plaintext_api_key);
		await me(body.plaintext_api_key);
		expect(await lastUse()).toEqual(first);
		await server.sql(
			"update api_keys set last_used_at = last_used_at - interval '61 seconds' where name = 'used'",
		);
		await me(body.plaintext_api_key);
		await until(async () => ((await lastUse())?.getTime() ?? 0) >= first.getTime());
	});
});
