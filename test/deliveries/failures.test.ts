import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RECEIVER_TLS, type ReplyRule } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import {
	addEndpoint,
	addOrganization,
	type Body,
	listAttempts,
	newestDelivery,
	publish,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;

beforeAll(async () => {
	server = await startTestServer({
		keep: true,
		env: { WEBHOOK_RETRY_SCHEDULE: "0", WEBHOOK_TIMEOUT_MS: "800" },
	});
});
afterAll(() => server.close());

/** Sends one event to the URL, in one attempt, and returns what became of it. */
async function failureAt(url: string): Promise<Body> {
	const owner = await addOrganization(server);
	const endpoint = await addEndpoint(server, owner, { url });
	await publish(server, owner, { type: "a", data: 1 });
	const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state !== "pending");
	const [attempt] = await listAttempts(server, owner, endpoint, delivery.id);
	expect(attempt).toMatchObject({
		number: 1,
		error_code: delivery.error_code,
		error: delivery.last_error,
		response_status: delivery.response_status,
	});
	expect(delivery).toMatchObject({ state: "failed", attempts: 1 });
	return delivery;
}

describe("a failed delivery says why", () => {
	it.each<[string, ReplyRule, number | null]>([
		["timeout", "hang", null],
		["connection_reset", "reset", null],
		["connection_reset", "cut", null],
		["response_too_slow", "drip", null],
		["http_4xx", 404, 404],
		["http_4xx", 429, 429],
		["http_5xx", 500, 500],
		["http_5xx", 599, 599],
		["redirect", { status: 301, headers: { location: "http://127.0.0.1:1/" } }, 301],
		["redirect", 304, 304],
	])("%s, when the receiver does %j", async (code, rule, status) => {
		const receiver = await receiving();
		receiver.respondWith(rule);
		const delivery = await failureAt(receiver.url);
		expect(delivery).toMatchObject({ error_code: code, response_status: status });
		expect(delivery.last_error).toMatch(/^The .*\.$/);
		expect(receiver.requests).toHaveLength(1);
	});

	it("connection_refused, where nobody listens", async () => {
		const receiver = await receiving();
		await receiver.close();
		expect(await failureAt(receiver.url)).toMatchObject({ error_code: "connection_refused" });
	});

	it("dns_error, for a host that does not exist", async () => {
		expect(await failureAt("http://nobody.invalid:8080/")).toMatchObject({ error_code: "dns_error" });
	});

	it("tls_error, for a certificate that nobody vouches for", async () => {
		const receiver = await receiving({ tls: RECEIVER_TLS });
		const delivery = await failureAt(receiver.url);
		expect(delivery).toMatchObject({ error_code: "tls_error", response_status: null });
		expect(receiver.requests).toHaveLength(0);
	});

	it("a redirect is never followed", async () => {
		const target = await receiving();
		const receiver = await receiving();
		for (const status of [301, 302, 303, 307, 308]) {
			receiver.respondWith({ status, headers: { location: target.url } });
			expect(await failureAt(receiver.url)).toMatchObject({ error_code: "redirect" });
		}
		expect(target.requests).toHaveLength(0);
	});
});
