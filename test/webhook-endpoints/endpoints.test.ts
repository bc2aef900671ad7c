import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newId, toUuid } from "../../src/core/ids.ts";
import {
	addEndpoint,
	addOrganization,
	createEndpoint,
	endpointsPath,
	getBody,
	type Owner,
	publish,
} from "../deliveries/webhook-server.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let owner: Owner;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
});

const url = "http://127.0.0.1:9999/hook";

describe("a created webhook endpoint", () => {
	it("is answered with every field, null where it has no value, and its secret", async () => {
		const { status, body } = await createEndpoint(server, owner, { url });
		expect(status).toBe(201);
		expect(body).toEqual({
			webhook_endpoint: {
				id: expect.stringMatching(/^whe_[0-9a-hjkmnp-tv-z]{26}$/),
				organization_id: owner.organizationId,
				project_id: null,
				url,
				name: null,
				description: null,
				event_types: [],
				headers: {},
				secret_headers: [],
				is_active: true,
				disabled_reason: null,
				health: "healthy",
				created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
				updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
			},
			plaintext_secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
		});
	});

	it("gives back url, name, description and the order of event_types byte for byte, everywhere", async () => {
		const sent = {
			url: "HTTP://127.0.0.1:9999/Hook/../%7euser?B=2&a=%C3%A9&a=%c3%a9#Frag",
			name: "  näme\u00a0 ",
			description: "e\u0301 \u{1F9AB}\r\n\t\u200b\u2028 ",
			event_types: ["z.b", "a", "m.*", "Z-9_.x", "a", "*"],
		};
		const { id, path, wire } = await addEndpoint(server, owner, sent);
		expect(wire).toMatchObject(sent);
		expect((await getBody(server, owner, path)).webhook_endpoint).toEqual(wire);
		const list = await getBody(server, owner, endpointsPath(owner));
		expect(list.webhook_endpoints.find((each: { id: string }) => each.id === id)).toEqual(wire);
		const patched = await server.call("PATCH", path, { key: owner.key, body: sent });
		expect(patched.body.webhook_endpoint).toMatchObject(sent);
	});

	it("has null for an empty description and an empty name", async () => {
		const { wire, path } = await addEndpoint(server, owner, { url, description: "", name: "" });
		expect(wire).toMatchObject({ description: null, name: null });
		await server.call("PATCH", path, { key: owner.key, body: { description: "x", name: "y" } });
		const cleared = await server.call("PATCH", path, {
			key: owner.key,
			body: { description: "", name: null },
		});
		expect(cleared.body.webhook_endpoint).toMatchObject({ description: null, name: null });
	});

	it("may be inactive from the start, and its health is then `disabled`", async () => {
		const { wire } = await addEndpoint(server, owner, { url, is_active: false });
		expect(wire).toMatchObject({ is_active: false, health: "disabled", disabled_reason: null });
	});

	it.each([[["not.yet.known"]], [["*"]], [["a.*"]], [["a.b.*"]], [["A-z_0.9"]], [["x".repeat(128)]]])(
		"may list the event types %j",
		async (eventTypes) => {
			expect((await createEndpoint(server, owner, { url, event_types: eventTypes })).status).toBe(201);
		},
	);

	it.each([
		[[""]],
		[["a."]],
		[[".a"]],
		[["a..b"]],
		[["*.a"]],
		[["a.*.b"]],
		[["a*"]],
		[["**"]],
		[["a b"]],
		[["a\n"]],
		[["é"]],
		[["x".repeat(129)]],
		[[null]],
		[[7]],
		[null],
		["a"],
		[Array.from({ length: 201 }, (_, at) => `t${at}`)],
	])("may not list the event types %j", async (eventTypes) => {
		const { status, body } = await createEndpoint(server, owner, { url, event_types: eventTypes });
		expect(status).toBe(400);
		expect(body.error).toContain("event_types");
	});

	it.each([
		[{}, "url"],
		[{ url: null }, "url"],
		[{ url: 7 }, "url"],
		[{ url: "" }, "url"],
		[{ url, is_active: "true" }, "is_active"],
		[{ url, description: "a\u0000b" }, "description"],
		[{ url, name: "a\u0000b" }, "name"],
		[{ url, description: "x".repeat(1001) }, "description"],
		[{ url, project_id: "prj_nothing" }, "project_id"],
		[{ url, secret: "whsec_x" }, "secret"],
		[{ url: "http://127.0.0.1:9999/\u0000" }, "url"],
		[{ url: "ftp://127.0.0.1/" }, "url"],
		[{ url: `http://127.0.0.1:9999/${"a".repeat(2048)}` }, "url"],
	])("is refused for %j with a sentence that names the field", async (body, field) => {
		const answer = await createEndpoint(server, owner, body);
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(field);
	});
});

describe("changing an endpoint", () => {
	it("leaves absent fields alone and moves updated_at", async () => {
		const sent = { url, name: "n", description: "d", event_types: ["a"], headers: { "X-A": "1" } };
		const { path, wire } = await addEndpoint(server, owner, sent);
		const { status, body } = await server.call("PATCH", path, {
			key: owner.key,
			body: { is_active: false },
		});
		expect(status).toBe(200);
		expect(body.webhook_endpoint).toEqual({
			...wire,
			is_active: false,
			health: "disabled",
			updated_at: expect.any(String),
		});
		expect(Date.parse(body.webhook_endpoint.updated_at)).toBeGreaterThanOrEqual(Date.parse(wire.updated_at));
	});

	it("takes an empty body as no change", async () => {
		const { path, wire } = await addEndpoint(server, owner, { url });
		const { status, body } = await server.call("PATCH", path, { key: owner.key, body: {} });
		expect(status).toBe(200);
		expect(body.webhook_endpoint).toEqual({ ...wire, updated_at: expect.any(String) });
	});

	it("clears the reason of a disabled endpoint when it is made active again", async () => {
		const { id, path } = await addEndpoint(server, owner, { url });
		await server.sql(
			"update webhook_endpoints set is_active = false, disabled_reason = 'It failed.' where id = $1",
			[toUuid(id)],
		);
		expect((await getBody(server, owner, path)).webhook_endpoint).toMatchObject({
			disabled_reason: "It failed.",
			health: "disabled",
		});
		const { body } = await server.call("PATCH", path, { key: owner.key, body: { is_active: true } });
		expect(body.webhook_endpoint).toMatchObject({ disabled_reason: null, is_active: true });
	});

	it("is refused for what a create refuses", async () => {
		const { path } = await addEndpoint(server, owner, { url });
		for (const body of [{ url: null }, { url: "x" }, { event_types: ["a.*.b"] }, { health: "healthy" }]) {
			expect((await server.call("PATCH", path, { key: owner.key, body })).status).toBe(400);
		}
	});
});

describe("a deleted endpoint", () => {
	it("is gone, with its secrets", async () => {
		const { id, path } = await addEndpoint(server, owner, { url });
		const { status, body } = await server.call("DELETE", path, { key: owner.key });
		expect([status, body]).toEqual([200, { deleted: true }]);
		expect((await server.call("GET", path, { key: owner.key })).status).toBe(404);
		expect((await server.call("DELETE", path, { key: owner.key })).status).toBe(404);
		expect(await server.sql("select 1 from endpoint_secrets where endpoint_id = $1", [toUuid(id)])).toEqual(
			[],
		);
	});
});

describe("a deleted endpoint with a backlog", () => {
	it("goes as fast as one with a thousand waiting; the rest is shown nowhere, and dropped later", async () => {
		const api = await startTestServer({ env: { ROLE: "api" } });
		const other = await addOrganization(api);
		const { id, path } = await addEndpoint(api, other, { url });
		const { event } = await publish(api, other, { type: "a", data: 1 });
		await api.sql(
			`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
				max_attempts, next_attempt_at, created_at, updated_at)
			select organization_id, uuid_v7(), endpoint_id, event_id, event_type, origin, state, attempts, max_attempts,
				next_attempt_at, created_at, updated_at
			from deliveries, generate_series(1, 6999) where endpoint_id = $1`,
			[toUuid(id)],
		);
		const count = async () => (await api.sql("select 1 from deliveries")).length;
		const before = await count();
		expect((await api.call("DELETE", path, { key: other.key })).status).toBe(200);
		expect([before, await count()]).toEqual([7_000, 6_000]);
		const eventPath = `/v1/organizations/${other.organizationId}/events/${event.id}`;
		expect((await getBody(api, other, eventPath)).deliveries).toEqual([]);
		expect(await api.ctx.stores.deliveries.dropOrphans()).toBe(6_000);
		expect(await count()).toBe(0);
	});
});

describe("the list of endpoints", () => {
	it("holds all rows, newest first, when neither limit nor cursor is given", async () => {
		await insertEndpoints(260);
		const { webhook_endpoints: listed, next_cursor: nextCursor } = await getBody(
			server,
			owner,
			endpointsPath(owner),
		);
		expect(listed).toHaveLength(260);
		expect(nextCursor).toBeNull();
		const ids = listed.map((each: { id: string }) => each.id);
		expect(ids).toEqual(ids.toSorted().toReversed());
	});

	it("comes in pages that neither skip nor repeat while others are added", async () => {
		await insertEndpoints(7);
		const seen: string[] = [];
		let cursor: string | null = "";
		while (cursor !== null) {
			const query: string = `?limit=3${cursor === "" ? "" : `&cursor=${cursor}`}`;
			const page = await getBody(server, owner, `${endpointsPath(owner)}${query}`);
			seen.push(...page.webhook_endpoints.map((each: { id: string }) => each.id));
			cursor = page.next_cursor;
			await addEndpoint(server, owner, { url });
		}
		expect(seen).toHaveLength(7);
		expect(new Set(seen).size).toBe(7);
	});

	it.each(["limit=0", "limit=251", "limit=x", "limit=-1", "limit=1.5", "cursor=x", "cursor=", "cursor=AAAA"])(
		"refuses ?%s",
		async (query) => {
			const answer = await server.call("GET", `${endpointsPath(owner)}?${query}`, { key: owner.key });
			expect(answer.status).toBe(400);
			expect(answer.body.error).toContain(query.split("=")[0]);
		},
	);

	it("ends at 1,000 endpoints: one more is a 409, also when several come at once", async () => {
		await insertEndpoints(999);
		const several = await Promise.all(
			Array.from({ length: 8 }, () => createEndpoint(server, owner, { url })),
		);
		expect(several.filter(({ status }) => status === 201)).toHaveLength(1);
		const { status, body } = await createEndpoint(server, owner, { url });
		expect([status, body.code]).toEqual([409, "webhook_endpoint.limit"]);
		expect(body.error).toContain("1,000");
	});
});

async function insertEndpoints(count: number): Promise<void> {
	const ids = Array.from({ length: count }, () => toUuid(newId("whe")));
	const organization = toUuid(owner.organizationId);
	await server.sql(
		`insert into webhook_endpoints (id, organization_id, url, event_types, is_active)
		select id, $2, 'http://127.0.0.1:9999/', '{}', true from unnest($1::uuid[]) id`,
		[ids, organization],
	);
	for (const table of ["delivery_lanes", "endpoint_health"]) {
		await server.sql(
			`insert into ${table} (endpoint_id, organization_id) select id, $2 from unnest($1::uuid[]) id`,
			[ids, organization],
		);
	}
}
