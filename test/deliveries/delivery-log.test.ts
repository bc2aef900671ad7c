import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Receiver, ReplyRule } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	getBody,
	listAttempts,
	listDeliveries,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

// One organization alone on the server: only then are responses of private addresses kept.
beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0,5" } });
	owner = await addOrganization(server);
});
afterAll(() => server.close());
beforeEach(async () => {
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url, event_types: ["log.*"] });
});

const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe("a delivery in the log", () => {
	it("has every field, and the envelope as its payload", async () => {
		const { event } = await publish(server, owner, { type: "log.a", data: { z: 1, a: 2 } });
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		expect(delivery).toEqual({
			id: expect.stringMatching(/^whd_[0-9a-hjkmnp-tv-z]{26}$/),
			organization_id: owner.organizationId,
			endpoint_id: endpoint.id,
			event_id: event.id,
			event_type: "log.a",
			state: "delivered",
			attempts: 1,
			max_attempts: 2,
			next_attempt_at: null,
			response_status: 200,
			error_code: null,
			last_error: null,
			delivered_at: moment,
			created_at: moment,
			updated_at: moment,
			payload: { id: event.id, type: "log.a", created_at: event.created_at, data: { z: 1, a: 2 } },
		});
		const one = await getBody(server, owner, `${endpoint.path}/deliveries/${delivery.id}`);
		expect(one).toEqual({ delivery });
	});

	it("is pending with its next attempt after a failure, and failed after the last", async () => {
		receiver.respondWith(503);
		await publish(server, owner, { type: "log.a", data: 1 });
		const pending = await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
		expect(pending).toMatchObject({
			state: "pending",
			attempts: 1,
			next_attempt_at: moment,
			response_status: 503,
			error_code: "http_5xx",
			last_error: "The receiver answered 503.",
			delivered_at: null,
		});
		await passTime(server, 7_000, endpoint);
		const failed = await newestDelivery(server, owner, endpoint, ({ state }) => state === "failed");
		expect(failed).toMatchObject({ attempts: 2, next_attempt_at: null, delivered_at: null });
	});
});

describe("the list of deliveries", () => {
	it("can be filtered by state, event_type, since and until, and by all of them", async () => {
		receiver.respondWith(200, 410, 200, 410);
		const times: string[] = [];
		for (const type of ["log.a", "log.a", "log.b", "log.b"]) {
			times.push(new Date().toISOString());
			await publish(server, owner, { type, data: 1 });
			await newestDelivery(
				server,
				owner,
				endpoint,
				({ event_type: of, state }) => of === type && state !== "pending",
			);
			await receiver.waitFor(times.length);
			await newestDelivery(server, owner, endpoint, ({ state }) => state !== "pending");
			// A 410 made it inactive.
			await server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: true } });
		}
		const [d4, d3, d2, d1] = await listDeliveries(server, owner, endpoint);
		const shows = async (query: string, wanted: Body[]) => {
			const found = await listDeliveries(server, owner, endpoint, query);
			expect([query, ids(found)]).toEqual([query, ids(wanted)]);
		};
		await shows("?state=delivered", [d3, d1]);
		await shows("?state=failed", [d4, d2]);
		await shows("?state=pending", []);
		await shows("?event_type=log.a", [d2, d1]);
		await shows("?event_type=log", []);
		await shows(`?since=${times[2]}`, [d4, d3]);
		await shows(`?until=${times[2]}`, [d2, d1]);
		await shows(`?since=${times[1]}&until=${times[3]}&state=delivered&event_type=log.b`, [d3]);
		await shows(`?since=${times[1]?.replace("Z", "%2B00:00")}&unknown=ignored`, [d4, d3, d2]);
	});

	it("has 50 rows a page by default, newest first, and neither skips nor repeats", async () => {
		const events = Array.from({ length: 120 }, (_, at) => ({ type: "log.a", data: at }));
		await publish(server, owner, { events });
		const seen: string[] = [];
		let cursor: string | null = null;
		const sizes: number[] = [];
		do {
			const query: string = cursor === null ? "" : `?cursor=${cursor}`;
			const page = await getBody(server, owner, `${endpoint.path}/deliveries${query}`);
			sizes.push(page.deliveries.length);
			seen.push(...ids(page.deliveries));
			cursor = page.next_cursor;
			await publish(server, owner, { type: "log.b", data: 1 });
		} while (cursor !== null);
		expect(sizes).toEqual([50, 50, 20]);
		expect(seen).toEqual([...new Set(seen)].toSorted().toReversed());
	});

	it.each([
		"state=sent",
		"state=",
		"event_type=a..b",
		"since=yesterday",
		"since=2026-01-01",
		"since=2026-01-01T12:00:00",
		"until=2026-02-30T12:00:00Z",
		"until=2026-13-01T00:00:00Z",
		"since=1960-01-01T00:00:00Z",
		"limit=0",
		"limit=251",
		"limit=1&limit=2",
		"cursor=abc",
		"since=%00",
	])("refuses ?%s with a sentence that names the parameter", async (query) => {
		const answer = await server.call("GET", `${endpoint.path}/deliveries?${query}`, { key: owner.key });
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(query.split("=")[0]);
	});
});

describe("the attempts of a delivery", () => {
	it("are listed first to last, each with what the receiver answered", async () => {
		receiver.respondWith(
			{ status: 500, headers: { "X-Reason": "é", "Set-Cookie": ["a=s3cret", "b=s3cret"] }, body: "no" },
			{ status: 201, body: '{"ok":true}' },
		);
		await publish(server, owner, { type: "log.a", data: 1 });
		await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
		await passTime(server, 7_000, endpoint);
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const attempts = await listAttempts(server, owner, endpoint, id);
		expect(attempts).toEqual([
			{
				id: expect.stringMatching(/^att_/),
				number: 1,
				at: moment,
				response_status: 500,
				duration_ms: expect.any(Number),
				error_code: "http_5xx",
				error: "The receiver answered 500.",
				response_headers: expect.arrayContaining([["Set-Cookie", "[masked]"]]),
				response_body: "no",
			},
			expect.objectContaining({
				number: 2,
				response_status: 201,
				error_code: null,
				error: null,
				response_body: '{"ok":true}',
			}),
		]);
		expect(JSON.stringify(attempts)).not.toContain("s3cret");
		expect(attempts[0].response_headers.map(([name]: [string]) => name)).toContain("X-Reason");
	});

	it.each<[string, ReplyRule, string]>([
		["NUL", { status: 200, body: "a\u0000b" }, "ab"],
		[
			"bytes that are not UTF-8",
			{ status: 200, body: Buffer.from([0x61, 0xff, 0xfe, 0x62]) },
			"a\ufffd\ufffdb",
		],
		["more than 16 KiB", { status: 200, body: "x".repeat(50_000) }, "x".repeat(16 * 1024)],
		[
			"a character cut at the limit",
			{ status: 200, body: `${"x".repeat(16 * 1024 - 1)}é` },
			"x".repeat(16 * 1024 - 1),
		],
		[
			"16 KiB of bytes that are not UTF-8, each of them three as text",
			{ status: 200, body: Buffer.alloc(16 * 1024, 0xff) },
			"\ufffd".repeat((16 * 1024) / 3),
		],
		["nothing", { status: 204 }, ""],
		["control characters in a header", { status: 200, headers: { "X-Odd": "\u00ff\t\u0080" }, body: "" }, ""],
	])("keep a response with %s", async (_, reply, kept) => {
		receiver.respondWith(reply);
		await publish(server, owner, { type: "log.a", data: 1 });
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const [attempt] = await listAttempts(server, owner, endpoint, id);
		expect(attempt.response_body).toBe(kept);
	});

	it("keep no response of a private address once there is a second organization", async () => {
		await addOrganization(server);
		receiver.respondWith({ status: 500, headers: { "X-Inside": "1" }, body: "inside" });
		await publish(server, owner, { type: "log.a", data: 1 });
		const { id } = await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
		const [attempt] = await listAttempts(server, owner, endpoint, id);
		expect(attempt).toMatchObject({ response_status: 500, response_body: null, response_headers: null });
	});
});

function ids(rows: Body[]): string[] {
	return rows.map((row) => row?.id);
}
