import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
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

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
});

const waitMsOf = ({ next_attempt_at: due, updated_at: at }: Body) => Date.parse(due) - Date.parse(at);
const hasFailed = ({ error_code: code }: Body) => code !== null;

/** The endpoint's newest delivery once that many attempts are written down. */
async function afterAttempts(endpoint: AddedEndpoint, count: number): Promise<Body> {
	const { id } = await newestDelivery(server, owner, endpoint, () => true);
	await until(async () => (await listAttempts(server, owner, endpoint, id)).length === count);
	return newestDelivery(server, owner, endpoint, () => true);
}

describe("one event to three failing endpoints", () => {
	it("has three schedules, none of which overwrites another", async () => {
		receiver.respondWith(({ url }) => {
			if (url === "/patient") return { status: 503, headers: { "Retry-After": "3600" } };
			return url === "/gone" ? 410 : 500;
		});
		const add = (path: string) => addEndpoint(server, owner, { url: receiver.url + path });
		const [failing, patient, gone] = [await add("/failing"), await add("/patient"), await add("/gone")];
		const { event } = await publish(server, owner, { type: "a", data: 1 });
		for (const endpoint of [failing, patient, gone]) await afterAttempts(endpoint, 1);
		await passTime(server, 7_000, failing);
		const retried = await afterAttempts(failing, 2);
		expect(retried).toMatchObject({ event_id: event.id, state: "pending", attempts: 2 });
		expect(waitMsOf(retried)).toBeGreaterThan(200_000);
		const waiting = await afterAttempts(patient, 1);
		expect(waiting).toMatchObject({ event_id: event.id, state: "pending", attempts: 1 });
		expect(waitMsOf(waiting)).toBeGreaterThanOrEqual(3_600_000 - 2);
		const ended = await afterAttempts(gone, 1);
		expect(ended).toMatchObject({ event_id: event.id, state: "failed", attempts: 1, next_attempt_at: null });
		expect(receiver.requests.map(({ url }) => url).toSorted()).toEqual([
			"/failing",
			"/failing",
			"/gone",
			"/patient",
		]);
	});
});

describe("a Retry-After out of proportion", () => {
	it.each([
		["of a day is cut to six hours", "86400", 6 * 3600],
		["in 2099 is cut to six hours", "Thu, 01 Jan 2099 00:00:00 GMT", 6 * 3600],
		["of more digits than a number has is ignored", "9".repeat(40), 4],
		["below zero is ignored", "-86400", 4],
		["in the past is ignored", "Fri, 31 Dec 1999 23:59:59 GMT", 4],
		["that is garbage is ignored", "soon", 4],
	])("%s", async (_case, value, seconds) => {
		receiver.respondWith({ status: 503, headers: { "Retry-After": value } });
		const endpoint = await addEndpoint(server, owner, { url: receiver.url });
		await publish(server, owner, { type: "a", data: 1 });
		const delivery = await newestDelivery(server, owner, endpoint, hasFailed);
		expect(waitMsOf(delivery)).toBeGreaterThanOrEqual(seconds * 1000 - 2);
		expect(waitMsOf(delivery)).toBeLessThanOrEqual(Math.max(6_002, seconds * 1000 + 2));
		const [attempt] = await listAttempts(server, owner, endpoint, delivery.id);
		expect(attempt.response_status).toBe(503);
	});
});

describe("redelivery of an event that was delivered already", () => {
	it("is one new delivery with one attempt, however often the event was sent before", async () => {
		const endpoint = await addEndpoint(server, owner, { url: receiver.url, event_types: ["a"] });
		await publish(server, owner, { type: "a", data: 1, idempotency_key: "once" });
		const first = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		for (const sent of [2, 3]) {
			const path = `${endpoint.path}/deliveries/${first.id}/redeliver`;
			const { status, body } = await server.call("POST", path, { key: owner.key });
			expect([status, body.delivery.attempts]).toEqual([202, 0]);
			const again = await newestDelivery(
				server,
				owner,
				endpoint,
				({ id, state }) => id === body.delivery.id && state === "delivered",
			);
			expect(again).toMatchObject({ event_id: first.event_id, attempts: 1 });
			expect(receiver.requests).toHaveLength(sent);
		}
		const [original, ...more] = receiver.requests;
		for (const request of more) {
			expect(request.headers["webhook-id"]).toBe(original?.headers["webhook-id"]);
			expect(request.headers["x-capydb-delivery"]).not.toBe(original?.headers["x-capydb-delivery"]);
			expect(request.body.equals(original?.body ?? Buffer.alloc(0))).toBe(true);
		}
		expect(await listDeliveries(server, owner, endpoint)).toHaveLength(3);
		expect((await newestDelivery(server, owner, endpoint, () => true)).id).not.toBe(first.id);
	});
});

describe("an event that nobody is there for", () => {
	it.each([
		["no endpoint at all", null],
		["an endpoint of other types", { event_types: ["other"] }],
		["an endpoint that is inactive", { is_active: false }],
	])("with %s is recorded and can be read, with zero deliveries", async (_case, change) => {
		const endpoint = change && (await addEndpoint(server, owner, { url: receiver.url }));
		if (endpoint) await server.call("PATCH", endpoint.path, { key: owner.key, body: change });
		const { event, deliveries } = await publish(server, owner, { type: "unheard.of", data: { kept: true } });
		expect(deliveries).toBe(0);
		const path = `/v1/organizations/${owner.organizationId}/events`;
		const { events } = await getBody(server, owner, path);
		expect(events.map(({ id }: Body) => id)).toEqual([event.id]);
		const one = await getBody(server, owner, `${path}/${event.id}`);
		expect(one.event).toMatchObject({ id: event.id, deliveries: 0, payload: { data: { kept: true } } });
		expect(one.deliveries).toEqual([]);
		expect(receiver.requests).toEqual([]);
	});
});
