import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromUuid, toUuid } from "../../src/core/ids.ts";
import {
	addEndpoint,
	addOrganization,
	getBody,
	type Owner,
	postEvents,
	publish,
} from "../deliveries/webhook-server.ts";
import { startTestServer, type Tenant, type TestServer } from "../support/server.ts";

/** Serves the API and sends nothing: deliveries stay as publishing left them. */
let server: TestServer;
let tenant: Tenant;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { ROLE: "api" } });
	tenant = { ...(await addOrganization(server)), projectId: "" };
	const made = await server.call("POST", "/v1/projects", { key: tenant.key, body: { name: "web" } });
	tenant.projectId = made.body.project.id;
});
afterAll(() => server.close());

const url = "http://127.0.0.1:9999/hook";

function countEvents(type: string): Promise<number> {
	return count("events", "type", type);
}

async function count(table: string, column: string, value: string): Promise<number> {
	const rows = await server.sql<{ count: number }>(
		`select count(*)::int as count from ${table} where ${column} = $1`,
		[value],
	);
	return rows[0]?.count ?? -1;
}

describe("publishing one event", () => {
	it("answers 202 with the event and the number of its deliveries", async () => {
		const owner = await addOrganization(server);
		await addEndpoint(server, owner, { url, event_types: ["order.paid"] });
		await addEndpoint(server, owner, { url, event_types: [] });
		await addEndpoint(server, owner, { url, event_types: ["order.sent"] });
		const body = await publish(server, owner, { type: "order.paid", data: { id: 7 } });
		expect(body).toEqual({
			event: {
				id: expect.stringMatching(/^evt_/),
				organization_id: owner.organizationId,
				project_id: null,
				type: "order.paid",
				deliveries: 2,
				created_at: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
				payload: {
					id: body.event.id,
					type: "order.paid",
					created_at: body.event.created_at,
					data: { id: 7 },
				},
			},
			deliveries: 2,
		});
	});

	it("records an event that nobody wants", async () => {
		const owner = await addOrganization(server);
		const { event, deliveries } = await publish(server, owner, { type: "nobody.cares", data: null });
		expect([event.deliveries, deliveries]).toEqual([0, 0]);
		const path = `/v1/organizations/${owner.organizationId}/events`;
		expect((await getBody(server, owner, path)).events).toEqual([event]);
		expect(await getBody(server, owner, `${path}/${event.id}`)).toEqual({ event, deliveries: [] });
	});

	it("shows its deliveries, one an endpoint, below the event", async () => {
		const owner = await addOrganization(server);
		const endpoints = [await addEndpoint(server, owner, { url }), await addEndpoint(server, owner, { url })];
		const { event } = await publish(server, owner, { type: "shown.below", data: [] });
		const path = `/v1/organizations/${owner.organizationId}/events/${event.id}`;
		const { deliveries } = await getBody(server, owner, path);
		const ids = deliveries.map((delivery: { endpoint_id: string }) => delivery.endpoint_id);
		expect(ids.sort()).toEqual(endpoints.map(({ id }) => id).sort());
		for (const delivery of deliveries) {
			expect(delivery).toMatchObject({ event_id: event.id, state: "pending", attempts: 0, max_attempts: 8 });
		}
	});

	it.each([
		['{"z":1, "a":9007199254740993,"e":1e2,"big":1e400,"u":"\\u00e9\\/\\u0000","a":"twice"}'],
		["9007199254740993.10"],
		['"\\ud800 half"'],
		["[ 1,\n\t2 ]"],
		["null"],
		["-0"],
		['{"events":[],"data":{"data":1}}'],
		['{"__proto__":1,"constructor":{}}'],
	])("keeps the bytes of data as they were sent, here and in every later answer: %s", async (data) => {
		const owner = await addOrganization(server);
		const endpoint = await addEndpoint(server, owner, { url });
		const sent = await postEvents(server, owner, `{ "data" : ${data} , "type":"bytes.kept"}`);
		expect(sent.status).toBe(202);
		const { id, created_at: at } = sent.body.event;
		const payload = `"payload":{"id":"${id}","type":"bytes.kept","created_at":"${at}","data":${data}}`;
		const read = (path: string) => server.call("GET", path, { key: owner.key });
		const organization = `/v1/organizations/${owner.organizationId}`;
		const { text } = await read(`${endpoint.path}/deliveries`);
		expect(text).toContain(payload);
		expect(sent.text).toContain(payload);
		expect((await read(`${organization}/events`)).text).toContain(payload);
		expect((await read(`${organization}/events/${id}`)).text).toContain(payload);
		const batch = await postEvents(
			server,
			owner,
			`{"events":[{"type":"a","data":1},{"data":${data},"type":"b"}]}`,
		);
		expect(batch.text).toContain(`"data":${data}}`);
	});

	it("shows the newest 1,000 of its deliveries, first to last", async () => {
		const many = await addOrganization(server);
		const { event } = await publish(server, many, { type: "a", data: 1 });
		await server.sql(
			`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
				max_attempts, created_at, updated_at)
			select $1, uuid_v7(), $1, $2, 'a', 'event', 'delivered', n, 8, now(), now() from generate_series(1, 1001) n`,
			[toUuid(many.organizationId), toUuid(event.id)],
		);
		const path = `/v1/organizations/${many.organizationId}/events/${event.id}`;
		const { deliveries } = (await server.call("GET", path, { key: many.key })).body;
		const ids = deliveries.map((delivery: { id: string }) => delivery.id);
		const rows = await server.sql<{ id: string }>(
			"select id from deliveries where event_id = $1 order by id desc limit 1000",
			[toUuid(event.id)],
		);
		expect(ids).toEqual(rows.map(({ id }) => fromUuid("whd", id)).toReversed());
	});

	it("takes data of 256 KiB and refuses more with 413", async () => {
		const text = (bytes: number) => `{"type":"large.data","data":"${"x".repeat(bytes - 2)}"}`;
		expect((await postEvents(server, tenant, text(256 * 1024))).status).toBe(202);
		const refused = await postEvents(server, tenant, text(256 * 1024 + 1));
		expect([refused.status, refused.body.code]).toEqual([413, "data.too_large"]);
		expect(await countEvents("large.data")).toBe(1);
	});

	it.each(["", ".", "a.", ".a", "a..b", "a b", "a.*", "*", "é", "a\n", "a\u0000", "x".repeat(129), 1, null])(
		"refuses the type %j with a 400 that names it",
		async (type) => {
			const { status, body } = await postEvents(server, tenant, JSON.stringify({ type, data: 1 }));
			expect([status, body.error]).toEqual([400, expect.stringContaining("`type`")]);
		},
	);

	it.each([
		...["job.completed", "job.failed", "project.ready", "project.deleted", "preview.ready"],
		...["preview.deleted", "credentials.rotated", "integration.connected", "integration.disconnected"],
		...["integration.error", "deployment.created", "deployment.ready", "deployment.failed"],
		...["deployment.canceled", "deployment.promoted", "user.created", "user.updated", "user.deleted"],
		...["endpoint.disabled", "delivery.exhausted", "webhook.test"],
	])("refuses %s, which the server itself emits", async (type) => {
		const { status, body } = await postEvents(server, tenant, JSON.stringify({ type, data: {} }));
		expect([status, body.code, body.error]).toEqual([400, "type.invalid", expect.stringContaining(type)]);
	});

	it.each([
		...["backup.completed", "import.completed", "restore.completed", "alert.triggered", "alert.resolved"],
		...["user.signed_up", "Job.completed", "a", "A-z_0.9.x", "x".repeat(128)],
	])("takes %s", async (type) => {
		expect((await publish(server, tenant, { type, data: {} })).event.type).toBe(type);
	});

	it("takes a project of the organization only, and says the same of any other", async () => {
		const { event } = await publish(server, tenant, {
			type: "of.project",
			data: 1,
			project_id: tenant.projectId,
		});
		expect(event.project_id).toBe(tenant.projectId);
		const other = await addOrganization(server);
		for (const id of [tenant.projectId, "prj_01h455vb4pex5vsknk084sn02q", "nonsense", ""]) {
			const sent = JSON.stringify({ type: "of.project", data: 1, project_id: id });
			const { status, body } = await postEvents(server, other, sent);
			expect([status, body.code]).toEqual([400, "project_id.invalid"]);
		}
		expect(await countEvents("of.project")).toBe(1);
	});
});

describe("an endpoint's filter", () => {
	it.each([
		[[], "any.thing", true],
		[["*"], "any.thing", true],
		[["*"], "one", true],
		[["order.paid"], "order.paid", true],
		[["order.paid"], "order.paid.twice", false],
		[["order.paid"], "Order.paid", false],
		[["order.*"], "order.paid", true],
		[["order.*"], "order.paid.twice", true],
		[["order.*"], "order", false],
		[["order.*"], "orders.paid", false],
		[["a.b.*"], "a.b.c", true],
		[["a.b.*"], "a.c", false],
		[["x", "order.*", "order.paid"], "order.paid", true],
		[["a_b"], "aXb", false],
		[["a-b.%"], "a-b.c", null],
	])("%j for %s: %s", async (filters, type, isWanted) => {
		const owner = await addOrganization(server);
		if (isWanted === null) {
			const refused = addEndpoint(server, owner, { url, event_types: filters });
			return expect(refused).rejects.toThrow("event_types");
		}
		await addEndpoint(server, owner, { url, event_types: filters });
		const { deliveries } = await publish(server, owner, { type, data: 1 });
		expect(deliveries).toBe(isWanted ? 1 : 0);
	});

	it("of a project lets only that project's events through", async () => {
		await addEndpoint(server, tenant, { url, event_types: ["bound.event"], project_id: tenant.projectId });
		const send = (project: object) => publish(server, tenant, { type: "bound.event", data: 1, ...project });
		expect((await send({})).deliveries).toBe(0);
		expect((await send({ project_id: null })).deliveries).toBe(0);
		expect((await send({ project_id: tenant.projectId })).deliveries).toBe(1);
	});

	it("never lets another organization's events through", async () => {
		const [one, other] = [await addOrganization(server), await addOrganization(server)];
		await addEndpoint(server, one, { url, event_types: ["*"] });
		expect((await publish(server, other, { type: "not.yours", data: 1 })).deliveries).toBe(0);
	});
});

describe("a batch", () => {
	const batchOf = (owner: Owner, events: unknown[]) => postEvents(server, owner, JSON.stringify({ events }));

	it("answers 202 with its events in their order and the sum of their deliveries", async () => {
		const owner = await addOrganization(server);
		await addEndpoint(server, owner, { url, event_types: ["b.*"] });
		const types = ["b.1", "a.1", "b.2", "b.1"];
		const { status, body } = await batchOf(
			owner,
			types.map((type, at) => ({ type, data: { at } })),
		);
		expect(status).toBe(202);
		expect(body.events.map((event: { type: string }) => event.type)).toEqual(types);
		expect(body.events.map((event: { payload: { data: object } }) => event.payload.data)).toEqual(
			types.map((_, at) => ({ at })),
		);
		expect(body.deliveries).toBe(3);
		const ids = body.events.map((event: { id: string }) => event.id);
		expect(ids).toEqual([...ids].sort());
	});

	it.each([
		["a malformed type", { type: "no good", data: 1 }, 400, "events.1.type"],
		["a type of the server's own", { type: "job.failed", data: 1 }, 400, "type"],
		["a project of someone else", { type: "x", data: 1, project_id: "prj_x" }, 400, "project_id"],
		["an unknown field", { type: "x", data: 1, extra: 1 }, 400, "events.1.extra"],
		["no data", { type: "x" }, 400, "events.1.data"],
		["more than 256 KiB", { type: "x", data: "x".repeat(256 * 1024) }, 413, "data"],
	])("with %s in it publishes nothing", async (_, bad, status, field) => {
		const owner = await addOrganization(server);
		await addEndpoint(server, owner, { url });
		const good = { type: "good.one", data: 1, idempotency_key: "k" };
		const answer = await batchOf(owner, [good, bad, good]);
		expect([answer.status, answer.body.error]).toEqual([status, expect.stringContaining(`\`${field}\``)]);
		const path = `/v1/organizations/${owner.organizationId}/events`;
		expect((await getBody(server, owner, path)).events).toEqual([]);
	});

	it("takes 1 to 500 events", async () => {
		const owner = await addOrganization(server);
		const events = (length: number) => Array.from({ length }, () => ({ type: "many", data: 1 }));
		expect((await batchOf(owner, events(500))).body.events).toHaveLength(500);
		for (const length of [0, 501]) {
			const { status, body } = await batchOf(owner, events(length));
			expect([status, body.error]).toEqual([400, expect.stringContaining("`events`")]);
		}
	});

	it("makes at most 50,000 deliveries, and one that would make more publishes nothing", async () => {
		const owner = await addOrganization(server);
		const { id } = await addEndpoint(server, owner, { url, event_types: ["flood"] });
		await server.sql(
			`insert into webhook_endpoints
			select (jsonb_populate_record(w, jsonb_build_object('id', uuid_v7()))).*
			from webhook_endpoints w, generate_series(1, 99) where w.id = $1`,
			[toUuid(id)],
		);
		const flood = Array.from({ length: 500 }, () => ({ type: "flood", data: 1 }));
		const most = await batchOf(owner, flood);
		expect([most.status, most.body.deliveries]).toEqual([202, 50_000]);
		await addEndpoint(server, owner, { url, event_types: ["flood"] });
		const refused = await batchOf(owner, flood);
		expect([refused.status, refused.body.code]).toEqual([400, "events.too_many_deliveries"]);
		expect([await countEvents("flood"), await count("deliveries", "event_type", "flood")]).toEqual([
			500, 50_000,
		]);
	});
});
