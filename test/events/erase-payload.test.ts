import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
	type AddedEndpoint,
	addEndpoint,
	addKey,
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
} from "../deliveries/webhook-server.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0,60,60" } });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url });
});

const pathOf = (event: Body) => `/v1/organizations/${owner.organizationId}/events/${event.id}`;
const erase = (event: Body, key = owner.key) => server.call("DELETE", `${pathOf(event)}/payload`, { key });
const secret = "ada@example.org";
const publishSecret = async () =>
	(await publish(server, owner, { type: "a.b", data: { email: secret } })).event;

describe("erasing the payload of an event", () => {
	it("removes it from the event, its deliveries and the lists, and keeps the event", async () => {
		const event = await publishSecret();
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const answer = await erase(event);
		expect([answer.status, answer.body]).toEqual([200, { erased: true }]);
		const shown = await getBody(server, owner, pathOf(event));
		expect(shown.event).toMatchObject({ id: event.id, type: "a.b", payload: null });
		expect(shown.deliveries).toHaveLength(1);
		const lists = [
			await getBody(server, owner, `/v1/organizations/${owner.organizationId}/events`),
			await listDeliveries(server, owner, endpoint),
		];
		expect(JSON.stringify(lists)).not.toContain(secret);
		const rows = await server.sql("select 1 from events where payload like $1", [`%${secret}%`]);
		expect(rows).toEqual([]);
	});

	it("ends what waits for it as failed with a sentence, and nothing more is sent", async () => {
		receiver.respondWith(500);
		const event = await publishSecret();
		await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
		await erase(event);
		const [delivery] = await listDeliveries(server, owner, endpoint);
		expect(delivery).toMatchObject({
			state: "failed",
			attempts: 1,
			next_attempt_at: null,
			error_code: "expired",
			last_error: "The event's payload was erased before it was delivered.",
			payload: null,
		});
		await passTime(server, 120_000, endpoint);
		await publish(server, owner, { type: "after", data: 1 });
		await receiver.waitFor(2);
		expect(receiver.requests.map(({ headers }) => headers["x-capydb-event"])).toEqual(["a.b", "after"]);
	});

	it("lets a request that is in flight end, and tries it no more", async () => {
		const answered = Promise.withResolvers<void>();
		receiver.respondWith(async () => {
			await answered.promise;
			return 500;
		});
		const event = await publishSecret();
		await receiver.waitFor(1);
		await erase(event);
		answered.resolve();
		await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code === "http_5xx");
		await passTime(server, 120_000, endpoint);
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "failed");
		expect(delivery).toMatchObject({
			attempts: 1,
			error_code: "expired",
			last_error: "The event's payload was erased before it was delivered.",
		});
		expect(await listAttempts(server, owner, endpoint, delivery.id)).toHaveLength(1);
		expect(receiver.requests).toHaveLength(1);
	});

	it("makes redelivering a 409", async () => {
		const event = await publishSecret();
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await erase(event);
		const path = `${endpoint.path}/deliveries/${id}/redeliver`;
		const { status, body } = await server.call("POST", path, { key: owner.key });
		expect([status, body.code]).toEqual([409, "delivery.payload_gone"]);
	});

	it("can be repeated, and is audited once", async () => {
		const event = await publishSecret();
		for (let count = 0; count < 2; count += 1) expect((await erase(event)).status).toBe(200);
		const audit = await getBody(server, owner, `/v1/organizations/${owner.organizationId}/audit-events`);
		const erasures = audit.audit_events.filter(({ action }: Body) => action === "event.payload_erased");
		expect(erasures).toHaveLength(1);
		expect(erasures[0].metadata).toEqual({ event_id: event.id });
	});

	it("needs organizations:write, and is a 404 for another tenant", async () => {
		const event = await publishSecret();
		const reader = await addKey(server, owner.organizationId, { scopes: ["organizations:read"] });
		expect((await erase(event, reader)).status).toBe(403);
		const stranger = await addOrganization(server);
		expect((await erase(event, stranger.key)).status).toBe(404);
		expect((await getBody(server, owner, pathOf(event))).event.payload.data.email).toBe(secret);
	});
});
