import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newId, type OrganizationId, type PreviewId, type ProjectId, toUuid } from "../../src/core/ids.ts";
import { addDeployment } from "../deployments/add-deployment.ts";
import { receiverPath, signingSecret } from "../integrations/clerk-server.ts";
import { type Api, type Operation, pathOf, readApi } from "./operations.ts";
import { startWorld, type World } from "./world.ts";

/** Its rows are in the project's own database and have the provider's ids: test/user-sync/users-api.test.ts. */
const inProjectDatabase = "listUsers";

let world: World;
let api: Api;
let lists: Operation[];

beforeAll(async () => {
	world = await startWorld();
	api = await readApi(world.server);
	lists = api.operations.filter(
		({ queryNames, id }) => queryNames.includes("cursor") && id !== inProjectDatabase,
	);
});
afterAll(() => world.close());

type Page = { ids: string[]; next: string | null };

async function page(operation: Operation, query: Record<string, string> = {}, key = world.mine.key) {
	const path = `${pathOf(operation, world.mine.ids)}?${new URLSearchParams(query)}`;
	const answer = await world.server.call("GET", path, { key });
	if (answer.status !== 200) throw new Error(`${path} answered ${answer.text}`);
	return readPage(answer.body);
}

/** The one array of a list's answer, whatever its name. */
function readPage(body: Record<string, unknown>): Page {
	const rows = Object.values(body).find(Array.isArray) as { id: string }[];
	return { ids: rows.map(({ id }) => id), next: body.next_cursor as string | null };
}

async function post(path: string, body?: unknown): Promise<void> {
	const answer = await world.server.call("POST", path, { key: world.mine.key, body });
	if (answer.status >= 300) throw new Error(`${path} answered ${answer.text}`);
}

/** How one more row of each list comes about. Null: there is at most one. */
function grow(operation: Operation): (() => Promise<unknown>) | null {
	const { server, clerk, mine } = world;
	const organization = `/v1/organizations/${mine.organizationId}`;
	const project = `/v1/projects/${mine.projectId}`;
	const endpoint = `${organization}/webhook-endpoints/${mine.ids.endpointID}`;
	const rename = (path: string) =>
		server.call("PATCH", path, { key: mine.key, body: { name: randomUUID() } });
	const growers: Record<string, (() => Promise<unknown>) | null> = {
		listApiKeys: () => post(`${organization}/api-keys`, { name: "more", scopes: ["jobs:read"] }),
		listOrganizationAuditEvents: () => rename(organization),
		listProjectAuditEvents: () => rename(project),
		listProjects: addProject,
		listJobs: addJob,
		listPreviewDatabases: addPreview,
		listIntegrations: null,
		listDeployments: () => addDeployment(server, mine),
		listIntegrationEvents: () => {
			const signed = clerk.signedWebhook("session.ended", { id: "s" }, { secret: signingSecret });
			const sent = { key: null, rawBody: signed.body, headers: signed.headers };
			return server.call("POST", receiverPath(mine), sent);
		},
		listEvents: () => post(`${organization}/events`, { type: "more.made", data: 1 }),
		listWebhookEndpoints: () =>
			post(`${organization}/webhook-endpoints`, { url: `${world.receiver.url}/x`, event_types: ["never"] }),
		listWebhookDeliveries: () => post(`${endpoint}/test`),
	};
	const grower = growers[operation.id];
	if (grower === undefined) throw new Error(`Say here how one more row of ${operation.id} is made.`);
	return grower;
}

/** A row alone: making many databases would take the test's time. */
async function addProject(): Promise<void> {
	const name = randomUUID().slice(0, 13);
	await world.server.sql(
		`insert into projects select (jsonb_populate_record(p, jsonb_build_object(
			'id', uuid_v7(), 'slug', $2::text, 'database_name', $2::text, 'role_name', $2::text))).*
		from projects p where id = $1`,
		[toUuid(world.mine.projectId), name],
	);
}

async function addPreview(): Promise<void> {
	const name = randomUUID().slice(0, 13);
	await world.server.sql(
		`insert into preview_databases select (jsonb_populate_record(p, jsonb_build_object(
			'id', uuid_v7(), 'name', $2::text, 'database_name', $2::text, 'role_name', $2::text))).*
		from preview_databases p where id = $1`,
		[toUuid(world.mine.ids.previewID as PreviewId), name],
	);
}

function addJob(): Promise<unknown> {
	const { mine, server } = world;
	return server.ctx.stores.jobs.insert({
		id: newId("job"),
		organizationId: mine.organizationId as OrganizationId,
		projectId: mine.projectId as ProjectId,
		type: "instance.create",
		maxAttempts: 5,
		lockedResource: randomUUID(),
		input: {},
	});
}

async function growTo(operation: Operation, count: number): Promise<void> {
	const add = grow(operation);
	if (add === null) return;
	const { ids } = await page(operation, { limit: "250" });
	for (let have = ids.length; have < count; have += 1) await add();
}

describe("a list", () => {
	it("is walked from the newest to the oldest row, each once, whatever is added meanwhile", async () => {
		expect(lists.length).toBeGreaterThan(9);
		for (const operation of lists) {
			await growTo(operation, 7);
			const before = (await page(operation, { limit: "250" })).ids;
			expect([operation.id, before]).toEqual([operation.id, [...before].sort().reverse()]);
			const seen: string[] = [];
			let cursor: string | null = null;
			do {
				const found: Page = await page(operation, { limit: "2", ...(cursor === null ? {} : { cursor }) });
				expect(found.ids.length).toBeLessThanOrEqual(2);
				seen.push(...found.ids);
				cursor = found.next;
				await grow(operation)?.();
			} while (cursor !== null);
			expect([operation.id, seen]).toEqual([operation.id, before]);
		}
	});

	it("that ends exactly with a page has no next one", async () => {
		for (const operation of lists) {
			const { ids } = await page(operation, { limit: "250" });
			const whole = await page(operation, { limit: String(ids.length) });
			expect([operation.id, whole]).toEqual([operation.id, { ids, next: null }]);
			if (ids.length === 1) continue;
			const short = await page(operation, { limit: String(ids.length - 1) });
			expect([operation.id, typeof short.next]).toEqual([operation.id, "string"]);
		}
	});

	it("gives all rows when neither limit nor cursor is given, or pages, as each list does", async () => {
		const pageSizes: Record<string, number | null> = {
			listApiKeys: null,
			listProjects: null,
			listIntegrations: null,
			listPreviewDatabases: null,
			listWebhookEndpoints: null,
			listWebhookDeliveries: 50,
		};
		for (const operation of lists) {
			const size = pageSizes[operation.id] === undefined ? 25 : (pageSizes[operation.id] ?? null);
			if (operation.id === "listWebhookDeliveries") await deliverMany(51);
			else await growTo(operation, 27);
			const all = await page(operation, { limit: "250" });
			const expected = size === null ? all.ids : all.ids.slice(0, size);
			const found = await page(operation);
			expect([operation.id, found.ids]).toEqual([operation.id, expected]);
			expect([operation.id, found.next !== null]).toEqual([operation.id, size !== null]);
			if (found.next === null) continue;
			const rest = await page(operation, { cursor: found.next, limit: "250" });
			expect([operation.id, rest.ids]).toEqual([operation.id, all.ids.slice(expected.length)]);
		}
	});

	it("shows no row of another tenant, also not for a cursor that is the other's", async () => {
		const { mine, theirs, server } = world;
		for (const operation of lists) {
			const own = new Set((await page(operation, { limit: "250" })).ids);
			const path = pathOf(operation, theirs.ids);
			const other = readPage((await server.call("GET", `${path}?limit=250`, { key: theirs.key })).body);
			expect([operation.id, other.ids.filter((id) => own.has(id))]).toEqual([operation.id, []]);
			const cursor = Buffer.from(other.ids[0] ?? "").toString("base64url");
			const { ids } = await page(operation, { cursor, limit: "250" }, mine.key);
			expect([operation.id, ids.filter((id) => !own.has(id))]).toEqual([operation.id, []]);
		}
	});

	it("of nothing is []", async () => {
		const { server, receiver } = world;
		const { body: made } = await server.call("POST", "/v1/organizations", { body: { name: "empty" } });
		const organization = `/v1/organizations/${made.organization.id}`;
		const read = async (path: string) => (await server.call("GET", path)).body;
		const empty = { next_cursor: null };
		expect(await read(`${organization}/api-keys`)).toEqual({ ...empty, api_keys: [] });
		expect(await read(`${organization}/events`)).toEqual({ ...empty, events: [] });
		expect(await read(`${organization}/webhook-endpoints`)).toEqual({ ...empty, webhook_endpoints: [] });
		expect(await read(`/v1/projects?organization_id=${made.organization.id}`)).toEqual({
			...empty,
			projects: [],
		});
		const { body } = await server.call("POST", `${organization}/webhook-endpoints`, {
			body: { url: receiver.url },
		});
		const endpoint = `${organization}/webhook-endpoints/${body.webhook_endpoint.id}`;
		expect(await read(`${endpoint}/deliveries`)).toEqual({ ...empty, deliveries: [] });
		const tenant = await server.tenant("bare");
		const project = `/v1/projects/${tenant.projectId}`;
		expect(await read(`${project}/integrations`)).toEqual({ ...empty, integrations: [] });
		expect(await read(`${project}/deployments`)).toEqual({ ...empty, deployments: [] });
	});

	async function deliverMany(count: number): Promise<void> {
		const events = Array.from({ length: count }, () => ({ type: "many.made", data: 1 }));
		await post(`/v1/organizations/${world.mine.organizationId}/events`, { events });
	}
});
