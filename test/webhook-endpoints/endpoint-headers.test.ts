import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import {
	addEndpoint,
	addOrganization,
	createEndpoint,
	endpointsPath,
	getBody,
	type Owner,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { holding } from "../support/held-lock.ts";
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

describe("an endpoint's own headers", () => {
	it("are shown as sent, and secret ones by their names alone, on every route", async () => {
		const headers = { "X-Tenant": "a b~!", Authorization2: "", "x-lower": '"quoted"' };
		const { id, path, wire } = await addEndpoint(server, owner, {
			url,
			headers,
			secret_headers: { "X-Token": "s3cret-value", Authorization: "Bearer s3cret-value" },
		});
		expect(wire.headers).toEqual(headers);
		expect(wire.secret_headers).toEqual(["X-Token", "Authorization"]);
		const answers = [
			await server.call("GET", path, { key: owner.key }),
			await server.call("GET", endpointsPath(owner), { key: owner.key }),
			await server.call("PATCH", path, { key: owner.key, body: { name: "x" } }),
			await server.call("POST", `${path}/rotate-secret`, { key: owner.key }),
			await server.call("GET", `/v1/organizations/${owner.organizationId}/audit-events`, {
				key: owner.key,
			}),
		];
		for (const { text } of answers) expect(text).not.toContain("s3cret-value");
		const [row] = await server.sql("select * from webhook_endpoints where id = $1", [toUuid(id)]);
		expect(JSON.stringify(row)).not.toContain("s3cret-value");
	});

	it("are sent with each delivery, secret ones too", async () => {
		const receiver = await receiving();
		await addEndpoint(server, owner, {
			url: receiver.url,
			headers: { "X-Plain": "one", ["__proto__"]: "odd", constructor: "odder" },
			secret_headers: { Authorization: "Bearer s3cret" },
		});
		await publish(server, owner, { type: "a.b", data: 1 });
		const [request] = await receiver.waitFor(1);
		expect(request?.headers).toMatchObject({ "x-plain": "one", authorization: "Bearer s3cret" });
		const names = request?.rawHeaders.filter((_, at) => at % 2 === 0);
		expect(names).toContain("X-Plain");
		expect(names).toContain("__proto__");
		expect(names).toContain("constructor");
	});

	it("are replaced as a whole by a PATCH, each field by itself", async () => {
		const receiver = await receiving();
		const { path } = await addEndpoint(server, owner, {
			url: receiver.url,
			headers: { "X-A": "1", "X-B": "2" },
			secret_headers: { "X-S": "3" },
		});
		const first = await server.call("PATCH", path, { key: owner.key, body: { headers: { "X-C": "4" } } });
		expect(first.body.webhook_endpoint).toMatchObject({ headers: { "X-C": "4" }, secret_headers: ["X-S"] });
		await server.call("PATCH", path, { key: owner.key, body: { secret_headers: {} } });
		await publish(server, owner, { type: "a", data: 1 });
		const [request] = await receiver.waitFor(1);
		expect(request?.headers["x-c"]).toBe("4");
		for (const gone of ["x-a", "x-b", "x-s"]) expect(request?.headers[gone]).toBeUndefined();
	});

	it.each([
		"Host",
		"content-type",
		"Content-Length",
		"Connection",
		"transfer-encoding",
		"TE",
		"trailer",
		"upgrade",
		"expect",
		"proxy-authorization",
		"accept-encoding",
		"cookie",
		"User-Agent",
		"forwarded",
		"x-forwarded-for",
		"traceparent",
		"webhook-id",
		"svix-id",
		"X-CapyDB-Event",
		"a b",
		"",
		"a\u0000",
		"é",
		"a:b",
	])("may not be called %j, secret or not", async (name) => {
		for (const field of ["headers", "secret_headers"]) {
			const { status, body } = await createEndpoint(server, owner, { url, [field]: { [name]: "x" } });
			expect([status, body.code]).toEqual([400, `${field}.invalid`]);
		}
	});

	it.each(["a\nb", "a\r\nX-Evil: 1", "é", "\u0000", "x".repeat(1025), 7, null])(
		"may not have the value %j, and it is not in the refusal",
		async (value) => {
			for (const field of ["headers", "secret_headers"]) {
				const answer = await createEndpoint(server, owner, { url, [field]: { "X-Name": value } });
				expect(answer.status).toBe(400);
				expect(answer.body.error).toContain(field);
				if (typeof value === "string" && value.length > 1) expect(answer.body.error).not.toContain(value);
			}
		},
	);

	it("are at most 20 in both fields together, also when only one is changed", async () => {
		const both = { headers: many(10, "X-H"), secret_headers: many(11, "X-S") };
		expect((await createEndpoint(server, owner, { url, ...both })).status).toBe(400);
		const { path } = await addEndpoint(server, owner, { url, secret_headers: many(11, "X-S") });
		const added = await server.call("PATCH", path, {
			key: owner.key,
			body: { headers: many(10, "X-H") },
		});
		expect(added.status).toBe(400);
	});

	it("are never in both fields, whatever the case, also when only one is changed", async () => {
		const both = { headers: { "X-Twice": "1" }, secret_headers: { "x-twice": "2" } };
		expect((await createEndpoint(server, owner, { url, ...both })).status).toBe(400);
		const { path } = await addEndpoint(server, owner, { url, secret_headers: both.secret_headers });
		const added = await server.call("PATCH", path, { key: owner.key, body: { headers: both.headers } });
		expect(added.status).toBe(400);
		expect((await getBody(server, owner, path)).webhook_endpoint.headers).toEqual({});
	});

	it.each([
		["a name in both fields", { "X-Twice": "1" }, { "x-twice": "2" }],
		["more than 20", many(11, "X-H"), many(10, "X-S")],
	])("are never %s by two changes at once: one of them is refused", async (_, headers, secretHeaders) => {
		const { id, path } = await addEndpoint(server, owner, { url });
		const holder = await holding(server, "select from webhook_endpoints where id = $1 for update", [
			toUuid(id),
		]);
		const changes = [{ headers }, { secret_headers: secretHeaders }].map((body) =>
			server.call("PATCH", path, { key: owner.key, body }),
		);
		await holder.waitForWaiting(2, "capydb-api");
		await holder.release();
		const answers = await Promise.all(changes);
		expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 400]);
		const { webhook_endpoint: kept } = await getBody(server, owner, path);
		const names = [...Object.keys(kept.headers), ...kept.secret_headers];
		expect([Object.keys(headers), Object.keys(secretHeaders)]).toContainEqual(names);
	});
});

function many(count: number, prefix: string): Record<string, string> {
	return Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, "x"]));
}
