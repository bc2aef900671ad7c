import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSigningKey, sessionClaims, signToken } from "../fakes/clerk-keys.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

const key = newSigningKey();
const party = "https://dashboard.example.com";
let server: TestServer;
let clerkOrganizationId: string;
let organizationId: string;

beforeAll(async () => {
	server = await startTestServer({
		keep: true,
		env: { CLERK_JWT_KEY: key.pem.replaceAll("\n", "\\n"), CLERK_AUTHORIZED_PARTIES: party },
	});
	({ clerkOrganizationId, organizationId } = await connectOrganization(server));
});
afterAll(() => server.close());

async function connectOrganization(on: TestServer) {
	const id = `org_${randomUUID().replaceAll("-", "")}`;
	const { body } = await on.call("POST", "/v1/organizations", {
		body: { name: "Signed in", clerk_organization_id: id },
	});
	return { clerkOrganizationId: id, organizationId: body.organization.id as string };
}

function sessionOf(role: string, more: object = {}, version: 1 | 2 = 2): string {
	return signToken(key, sessionClaims(version, { id: clerkOrganizationId, role, slug: "signed-in" }, more));
}

async function refusal(token: string) {
	const { status, body } = await server.call("GET", "/v1/me", { key: token });
	return [status, body.code];
}

describe("a Clerk session", () => {
	it.each([1, 2] as const)(
		"with claims of version %i is a caller, with its organization and role",
		async (version) => {
			const { status, body } = await server.call("GET", "/v1/me", { key: sessionOf("admin", {}, version) });
			expect(status).toBe(200);
			expect(body.organization).toMatchObject({
				id: organizationId,
				clerk_organization_id: clerkOrganizationId,
			});
			expect(body.principal).toEqual({
				auth_source: "clerk_session",
				is_admin: false,
				scopes: ["*"],
				organization_id: organizationId,
				project_id: null,
				user_id: "user_1",
				clerk_organization_id: clerkOrganizationId,
				clerk_organization_role: "org:admin",
				clerk_organization_slug: "signed-in",
			});
		},
	);

	it("is a 401 when it is expired, beyond the tolerance of five seconds", async () => {
		const nowSeconds = Math.floor(Date.now() / 1000);
		expect(await refusal(sessionOf("admin", { exp: nowSeconds - 30 }))).toEqual([401, "session.expired"]);
		const late = await server.call("GET", "/v1/me", { key: sessionOf("admin", { exp: nowSeconds - 2 }) });
		expect(late.status).toBe(200);
	});

	it("is a 401 when it is pending, and the sentence says so", async () => {
		const { status, body } = await server.call("GET", "/v1/me", {
			key: sessionOf("admin", { sts: "pending" }),
		});
		expect([status, body.code]).toEqual([401, "session.pending"]);
		expect(body.error).toMatch(/finish signing in/);
	});

	it.each<[string, () => string]>([
		["from an origin that is not authorized", () => sessionOf("admin", { azp: "https://evil.example" })],
		["without the origin that is asked for", () => sessionOf("admin", { azp: undefined })],
		["signed with another key", () => signToken({ ...newSigningKey(), id: key.id }, sessionClaims(2, null))],
		["without a session, as machines' tokens are", () => sessionOf("admin", { sid: undefined })],
		["not active yet", () => sessionOf("admin", { nbf: Math.floor(Date.now() / 1000) + 600 })],
		["that names no algorithm", () => unsigned(sessionOf("admin"))],
		["whose claims were changed after signing", () => tampered(sessionOf("member"))],
		["cut short", () => sessionOf("admin").slice(0, -20)],
	])("%s is a 401", async (_what, token) => {
		expect(await refusal(token())).toEqual([401, "credential.invalid"]);
	});

	it("is a 403 when its organization is not known here, or when it has none", async () => {
		const strange = signToken(key, sessionClaims(2, { id: "org_strange", role: "admin", slug: "s" }));
		expect(await refusal(strange)).toEqual([403, "organization.unknown"]);
		expect(await refusal(signToken(key, sessionClaims(2, null)))).toEqual([403, "organization.not_chosen"]);
		expect(await refusal(signToken(key, sessionClaims(1, null)))).toEqual([403, "organization.not_chosen"]);
	});

	it("sees nothing of another organization", async () => {
		const other = await server.tenant("other");
		for (const path of [`/v1/projects/${other.projectId}`, `/v1/organizations/${other.organizationId}`]) {
			expect((await server.call("GET", path, { key: sessionOf("admin") })).status).toBe(404);
		}
	});

	it("can be let in by the operator alone: no tenant claims another Clerk organization's people", async () => {
		const { organizationId: own, key: tenantKey } = await server.tenant("claimant");
		const claim = (id: string | null, key?: string) =>
			server.call("PATCH", `/v1/organizations/${own}`, {
				...(key && { key }),
				body: { clerk_organization_id: id },
			});
		const refused = await claim("org_somebody_elses", tenantKey);
		expect([refused.status, refused.body.code]).toEqual([403, "admin.required"]);
		expect((await claim("org_its_own")).status).toBe(200);
		expect((await claim("org_its_own", tenantKey)).body.organization.clerk_organization_id).toBe(
			"org_its_own",
		);
		expect((await claim(null, tenantKey)).status).toBe(403);
		const linked = await claim("org_other", sessionOf("admin"));
		expect(linked.status).toBe(404);
	});

	it("is named in the audit log and in the keys that it makes", async () => {
		const path = `/v1/organizations/${organizationId}`;
		const admin = sessionOf("admin", { sub: "user_maker" });
		const made = await server.call("POST", `${path}/api-keys`, {
			key: admin,
			body: { name: "made", scopes: ["projects:read"] },
		});
		expect(made.status).toBe(201);
		expect(made.body.api_key.created_by_user_id).toBe("user_maker");
		const { body } = await server.call("GET", `${path}/audit-events`, { key: admin });
		expect(body.audit_events[0]).toMatchObject({
			action: "api_key.created",
			actor_kind: "user",
			actor_id: "user_maker",
		});
	});
});

describe("a member's session", () => {
	it("reads and changes projects, and is refused what admins alone may do", async () => {
		const project = await server.call("POST", "/v1/projects", {
			key: sessionOf("admin"),
			body: { name: "p" },
		});
		expect(project.status).toBe(201);
		const { id } = project.body.project;
		const organization = `/v1/organizations/${organizationId}`;
		const calls: [method: string, path: string, body: object | undefined, status: number][] = [
			["GET", "/v1/projects", undefined, 200],
			["GET", `/v1/projects/${id}`, undefined, 200],
			["PATCH", `/v1/projects/${id}`, { name: "renamed" }, 200],
			["GET", `/v1/projects/${id}/jobs`, undefined, 200],
			["GET", organization, undefined, 200],
			["GET", `${organization}/webhook-endpoints`, undefined, 200],
			["GET", `${organization}/events`, undefined, 200],
			["GET", `/v1/projects/${id}/connections`, undefined, 403],
			["GET", `${organization}/api-keys`, undefined, 403],
			["POST", `${organization}/api-keys`, { name: "k", scopes: ["projects:read"] }, 403],
			["POST", `${organization}/webhook-endpoints`, { url: "https://example.com/" }, 403],
			["POST", `${organization}/events`, { type: "a", data: {} }, 403],
			["PATCH", organization, { name: "x" }, 403],
			["POST", "/v1/projects", { name: "p" }, 403],
			["DELETE", `/v1/projects/${id}`, undefined, 403],
		];
		for (const [method, path, body, status] of calls) {
			const answer = await server.call(method, path, { key: sessionOf("member"), ...(body && { body }) });
			expect(answer.status, `${method} ${path}`).toBe(status);
			if (status === 403) expect(answer.body.code).toBe("role.admin_required");
		}
		const removed = await server.call("DELETE", `/v1/projects/${id}`, { key: sessionOf("admin") });
		expect(removed.status).toBe(202);
	});
});

it("a session token is a 401 where no Clerk key is configured", async () => {
	const plain = await startTestServer();
	const { status } = await plain.call("GET", "/v1/me", { key: sessionOf("admin") });
	expect(status).toBe(401);
});

function unsigned(token: string): string {
	const [, claims] = token.split(".");
	return `${Buffer.from(JSON.stringify({ alg: "none", kid: key.id })).toString("base64url")}.${claims}.`;
}

function tampered(token: string): string {
	const [header, claims = "", signature] = token.split(".");
	const changed = Buffer.from(claims, "base64url").toString().replace('"member"', '"admin"');
	return `${header}.${Buffer.from(changed).toString("base64url")}.${signature}`;
}
