import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { ownSignatures, standardSignatures } from "./signatures.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	listAttempts,
	newestDelivery,
	type Owner,
	passTime,
	postEvents,
	publish,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: `${receiver.url}/hook?a=1` });
});

describe("a delivery", () => {
	it("posts the envelope with the headers of both signature schemes", async () => {
		const { event } = await publish(server, owner, { type: "order.paid", data: { total: 3 } });
		const [request] = await receiver.waitFor(1);
		const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		expect(request).toMatchObject({ method: "POST", url: "/hook?a=1" });
		expect(request?.headers).toEqual({
			host: `127.0.0.1:${receiver.port}`,
			connection: "keep-alive",
			"content-length": String(request?.body.length),
			"content-type": "application/json",
			"user-agent": "capydb-webhooks/1.0",
			"x-capydb-event": "order.paid",
			"x-capydb-delivery": delivery.id,
			"x-capydb-signature": expect.stringMatching(/^t=\d{10},v1=[0-9a-f]{64}$/),
			"webhook-id": event.id,
			"webhook-timestamp": expect.stringMatching(/^\d{10}$/),
			"webhook-signature": expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
		});
		expect(JSON.parse(String(request?.body))).toEqual({
			id: event.id,
			type: "order.paid",
			created_at: event.created_at,
			data: { total: 3 },
		});
	});

	it("spells the headers of CapyDB as they are documented", async () => {
		await publish(server, owner, { type: "a", data: 1 });
		const [request] = await receiver.waitFor(1);
		for (const name of ["X-CapyDB-Event", "X-CapyDB-Delivery", "X-CapyDB-Signature", "User-Agent"]) {
			expect(request?.rawHeaders).toContain(name);
		}
	});

	it("is accepted by svix, by standardwebhooks and by recomputation", async () => {
		await publish(server, owner, { type: "a", data: { text: "é \u{1F9AB}", n: 1.5 } });
		const [request] = await receiver.waitFor(1);
		const body = String(request?.body);
		const headers = request?.headers ?? {};
		expect(() => new SvixWebhook(endpoint.secret).verify(body, headers)).not.toThrow();
		expect(new StandardWebhook(endpoint.secret).verify(body, headers)).toMatchObject({ type: "a" });
		expect(ownSignatures(request, [endpoint.secret])).toBe(true);
		expect(standardSignatures(request, [endpoint.secret])).toBe(true);
	});

	it("is refused by them with one byte changed and with another secret", async () => {
		await publish(server, owner, { type: "a", data: "b" });
		const [request] = await receiver.waitFor(1);
		const body = String(request?.body);
		const headers = request?.headers ?? {};
		const other = await addEndpoint(server, owner, { url: receiver.url });
		for (const Webhook of [SvixWebhook, StandardWebhook]) {
			expect(() => new Webhook(endpoint.secret).verify(`${body} `, headers)).toThrow("signature");
			expect(() => new Webhook(other.secret).verify(body, headers)).toThrow("signature");
		}
		expect(ownSignatures(request, [other.secret])).toBe(false);
	});

	it("is accepted with either secret during a rotation's grace", async () => {
		const { body: rotated } = await server.call("POST", `${endpoint.path}/rotate-secret`, {
			key: owner.key,
			body: { grace_hours: 1 },
		});
		await publish(server, owner, { type: "a", data: 1 });
		const [request] = await receiver.waitFor(1);
		for (const secret of [endpoint.secret, rotated.plaintext_secret]) {
			new SvixWebhook(secret).verify(String(request?.body), request?.headers ?? {});
			new StandardWebhook(secret).verify(String(request?.body), request?.headers ?? {});
		}
	});

	it("has the same ids and bytes on every attempt, and a fresh timestamp and signature", async () => {
		receiver.respondWith(500, 500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		await receiver.waitFor(1);
		const { id } = await newestDelivery(server, owner, endpoint, () => true);
		for (const made of [1, 2]) {
			await until(async () => (await listAttempts(server, owner, endpoint, id)).length === made);
			// In another second by the wall clock, so that a reused timestamp would show.
			const sentAt = Number(receiver.requests.at(-1)?.headers["webhook-timestamp"]);
			await until(() => Date.now() / 1000 > sentAt + 1.1);
			await passTime(server, 3600_000, endpoint);
			await receiver.waitFor(made + 1);
		}
		const requests = receiver.requests;
		for (const name of ["webhook-id", "x-capydb-delivery", "x-capydb-event"]) {
			expect(new Set(requests.map(({ headers }) => headers[name])).size).toBe(1);
		}
		expect(new Set(requests.map(({ body }) => String(body))).size).toBe(1);
		expect(new Set(requests.map(({ headers }) => headers["webhook-timestamp"])).size).toBe(3);
		for (const request of requests) expect(standardSignatures(request, [endpoint.secret])).toBe(true);
	});

	it.each(["1", '""', "{}", "[]", "null", "true"])(
		"of the smallest data %s is signed right",
		async (data) => {
			await postEvents(server, owner, `{"type":"a","data":${data}}`);
			const [request] = await receiver.waitFor(1);
			expect(String(request?.body)).toMatch(new RegExp(`"data":${data.replace(/[[\]{}]/g, "\\$&")}}$`));
			expect(standardSignatures(request, [endpoint.secret])).toBe(true);
		},
	);

	it("of one event to three failing endpoints has a schedule of its own for each", async () => {
		receiver.respondWith(500);
		const others = [
			await addEndpoint(server, owner, { url: receiver.url }),
			await addEndpoint(server, owner, { url: receiver.url }),
		];
		const { deliveries } = await publish(server, owner, { type: "a", data: 1 });
		expect(deliveries).toBe(3);
		await receiver.waitFor(3);
		const dues = new Set<string>();
		for (const each of [endpoint, ...others]) {
			const delivery = await newestDelivery(server, owner, each, ({ error_code: code }) => code !== null);
			expect(delivery).toMatchObject({ state: "pending", attempts: 1, error_code: "http_5xx" });
			dues.add(delivery.next_attempt_at);
		}
		expect(dues.size).toBeGreaterThan(1);
	});
});
