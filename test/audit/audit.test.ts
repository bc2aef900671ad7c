import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { type Api, inSafeOrder, type Operation, pathOf, readApi } from "../api/operations.ts";
import { sampleOf } from "../api/samples.ts";
import { addKey, idleJobs, startWorld, type World } from "../api/world.ts";
import { signingSecret } from "../integrations/clerk-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

let world: World;
let api: Api;

beforeAll(async () => {
	world = await startWorld();
	api = await readApi(world.server);
});
afterAll(() => world.close());

/** What each operation writes down; those that are not named and only read write nothing. */
const actions: Record<string, string | null> = {
	createOrganization: "organization.created",
	updateOrganization: "organization.updated",
	createApiKey: "api_key.created",
	revokeApiKey: "api_key.revoked",
	createProject: "project.created",
	updateProject: "project.updated",
	deleteProject: "project.deleted",
	getProjectConnections: "project.credentials_read",
	rotateProjectCredentials: "project.credentials_rotated",
	retryJob: "job.retried",
	putIntegration: "project.integration.upsert",
	connectClerk: "project.integration.connected",
	connectNetlify: "project.integration.connected",
	connectVercel: "project.integration.connected",
	deleteIntegration: "project.integration.delete",
	syncIntegration: "project.integration.synced",
	replayIntegrationEvent: "project.integration.event_replayed",
	publishEvents: null,
	createPreviewDatabase: "preview.created",
	deletePreviewDatabase: "preview.deleted",
	resetPreviewDatabase: "preview.reset",
	extendPreviewDatabase: "preview.ttl_extended",
	getPreviewDatabaseConnections: "preview.credentials_read",
	eraseEventPayload: "event.payload_erased",
	replayWebhookEndpoint: "webhook_endpoint.replayed",
	createWebhookEndpoint: "webhook_endpoint.created",
	updateWebhookEndpoint: "webhook_endpoint.updated",
	deleteWebhookEndpoint: "webhook_endpoint.deleted",
	rotateWebhookEndpointSecret: "webhook_endpoint.secret_rotated",
	testWebhookEndpoint: "webhook_endpoint.tested",
	redeliverWebhookDelivery: "delivery.redelivered",
};

type Row = {
	id: string;
	action: string;
	actor_kind: string;
	actor_id: string | null;
	organization_id: string;
	project_id: string | null;
	text: string;
};

/** What was written since the last call. */
async function newRows(): Promise<Row[]> {
	const rows = await world.server.sql<Row>(
		`select id::text, action, actor_kind, actor_id, organization_id::text, project_id::text,
			to_jsonb(a)::text as text
		from audit_events a where id > $1::uuid order by id`,
		[lastSeen],
	);
	lastSeen = rows.at(-1)?.id ?? lastSeen;
	return rows;
}
let lastSeen = "00000000-0000-0000-0000-000000000000";

describe("the audit log", () => {
	it("holds one row for each mutation and for each reading of credentials, and none for the rest", async () => {
		const { server, mine } = world;
		const { id: keyId, key } = await addKey(server, mine.organizationId, { scopes: ["*"] });
		await newRows();
		for (const operation of inSafeOrder(api.operations.filter(({ isPublic }) => !isPublic))) {
			const isAdmin = operation.id === "createOrganization";
			const { text, rows } = await perform(operation, isAdmin ? server.adminToken : key);
			const action = actionOf(operation);
			// What others were refused before, while this was being set up, is written down a second later.
			const isOurs = (row: Row) => row.action !== "access.refused" || row.actor_id === keyId;
			const written = rows.filter(isOurs).map((row) => row.action);
			expect([operation.id, written]).toEqual([operation.id, action === null ? [] : [action]]);
			const actor = isAdmin ? ["admin", null] : ["api_key", keyId];
			for (const row of rows.filter(isOurs)) expectRow(row, { operation, actor, secrets: secretsIn(text) });
		}
	});

	/** Does it with its sample, and returns its answer and what was written down meanwhile. */
	async function perform(operation: Operation, key: string): Promise<{ text: string; rows: Row[] }> {
		const { server, mine } = world;
		if (operation.method !== "GET") await idleJobs(server, mine.projectId);
		const { status, body } = sampleOf(world, operation);
		const sent = { key, ...(body === undefined ? {} : { body }) };
		const answer = await server.call(operation.method, pathOf(operation, mine.ids), sent);
		expect([operation.id, answer.status]).toEqual([operation.id, status]);
		return { text: answer.text, rows: await newRows() };
	}

	function expectRow(
		row: Row,
		{ operation, actor, secrets }: { operation: Operation; actor: (string | null)[]; secrets: string[] },
	): void {
		const { mine } = world;
		expect([row.actor_kind, row.actor_id]).toEqual(actor);
		if (actor[0] !== "admin") expect(row.organization_id).toBe(toUuid(mine.organizationId));
		if (/projectID|previewID/.test(operation.path)) expect(row.project_id).toBe(toUuid(mine.projectId));
		for (const secret of secrets) expect(row.text).not.toContain(secret);
	}

	function actionOf(operation: Operation): string | null {
		const action = actions[operation.id];
		if (action !== undefined) return action;
		if (operation.method === "GET") return null;
		throw new Error(`Say which action ${operation.id} writes into the audit log.`);
	}

	function secretsIn(text: string): string[] {
		const shown = text.match(/capy_live_\w{20,}|whsec_[\w+/=]+|postgres(ql)?:\/\/[^"]+/g) ?? [];
		return [...shown, world.clerk.secretKey, signingSecret];
	}
});

describe("a refused attempt by a known caller", () => {
	const refusedRows = async (organizationId: string) => {
		const path = `/v1/organizations/${organizationId}/audit-events?limit=250`;
		const { body } = await world.server.call("GET", path);
		return body.audit_events.filter(({ action }: { action: string }) => action === "access.refused");
	};

	it("is written into the caller's own organization, with route and reason, and not into the other's", async () => {
		const { server, theirs } = world;
		const { body } = await server.call("POST", "/v1/organizations", { body: { name: "curious" } });
		const own = body.organization.id;
		const { id: keyId, key } = await addKey(server, own, { scopes: ["organizations:read"] });
		const before = await refusedRows(theirs.organizationId);
		const asked: [string, string, object | undefined, string, string][] = [
			["GET", `/v1/projects/${theirs.projectId}`, undefined, "/v1/projects/:projectID", "project.not_found"],
			["PATCH", `/v1/organizations/${own}`, { name: "x" }, "/v1/organizations/:orgID", "scope.missing"],
			["POST", "/v1/organizations", { name: "x" }, "/v1/organizations", "admin.required"],
		];
		for (const [method, path, sent, route, code] of asked) {
			await server.call(method, path, { key, ...(sent === undefined ? {} : { body: sent }) });
			const row = await until(async () => {
				const rows = await refusedRows(own);
				return rows.find(({ metadata }: { metadata: { code: string } }) => metadata.code === code);
			});
			expect(row).toEqual({
				id: expect.stringMatching(/^aud_/),
				action: "access.refused",
				actor_kind: "api_key",
				actor_id: keyId,
				organization_id: own,
				project_id: null,
				metadata: { method, route, code },
				created_at: expect.stringMatching(/\.\d{3}Z$/),
			});
		}
		expect(await refusedRows(theirs.organizationId)).toEqual(before);
	});

	it("is written down too when it is the operation that refuses", async () => {
		const { server, theirs } = world;
		const { body } = await server.call("POST", "/v1/organizations", { body: { name: "climber" } });
		const own = body.organization.id;
		const { key } = await addKey(server, own, { scopes: ["api_keys:write", "projects:write"] });
		const wider = await server.call("POST", `/v1/organizations/${own}/api-keys`, {
			key,
			body: { name: "wide", scopes: ["*"] },
		});
		expect(wider.status).toBe(403);
		const foreign = await server.call("POST", "/v1/projects", {
			key,
			body: { name: "x", organization_id: theirs.organizationId },
		});
		expect(foreign.status).toBe(404);
		await until(async () => {
			const codes = (await refusedRows(own)).map(
				({ metadata }: { metadata: { code: string } }) => metadata.code,
			);
			return codes.includes("scope.wider") && codes.includes("organization.not_found");
		});
	});

	it("that is made again and again makes two rows in its minute, which count it, and the last when the server stops", async () => {
		const { server } = world;
		const replica = await startTestServer({ databaseUrl: server.databaseUrl, env: { ROLE: "api" } });
		const { body } = await server.call("POST", "/v1/organizations", { body: { name: "stubborn" } });
		const own = body.organization.id;
		const { key } = await addKey(server, own, { scopes: ["organizations:read"] });
		const path = `/v1/organizations/${own}/api-keys`;
		const refuse = (count: number, method = "GET") =>
			Promise.all(Array.from({ length: count }, () => replica.call(method, path, { key })));
		await refuse(1);
		const isWritten = async () => (await refusedRows(own)).length > 0;
		await until(isWritten);
		for (let round = 0; round < 5; round += 1) await refuse(40);
		await refuse(1, "POST");
		await replica.close();
		const rows = (await refusedRows(own)).map(({ metadata }: { metadata: object }) => metadata);
		const refused = { method: "GET", route: "/v1/organizations/:orgID/api-keys", code: "scope.missing" };
		expect(rows).toHaveLength(3);
		expect(rows).toEqual(
			expect.arrayContaining([refused, { ...refused, times: 200 }, { ...refused, method: "POST" }]),
		);
	});

	it("is not held against nobody: unknown callers and faulty input leave no row", async () => {
		const { server } = world;
		const { body } = await server.call("POST", "/v1/organizations", { body: { name: "quiet" } });
		const own = body.organization.id;
		const { key } = await addKey(server, own, { scopes: ["organizations:write"] });
		const path = `/v1/organizations/${own}/events`;
		expect((await server.call("POST", path, { key: null, body: {} })).status).toBe(401);
		expect((await server.call("POST", path, { key: "capy_live_x", body: {} })).status).toBe(401);
		expect((await server.call("POST", path, { key, body: {} })).status).toBe(400);
		// Rows of refusals are written behind the answer: one that must come shows that none before it did.
		await server.call("GET", `/v1/organizations/${own}/api-keys`, { key });
		const rows = await until(async () => {
			const found = await refusedRows(own);
			return found.length > 0 && found;
		});
		expect(rows.map(({ metadata }: { metadata: { code: string } }) => metadata.code)).toEqual([
			"scope.missing",
		]);
	});
});
