import { describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import type { ResolvedAddress } from "../../src/platform/host-resolver.ts";
import { RECEIVER_TLS } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	listAttempts,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "./webhook-server.ts";

const loopback: ResolvedAddress = { address: "127.0.0.1", family: 4 };

/** The one attempt of a delivery that failed before anything was sent. */
async function attemptOf(server: TestServer, owner: Owner, endpoint: AddedEndpoint): Promise<Body> {
	await publish(server, owner, { type: "a", data: 1 });
	const delivery = await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
	expect(delivery).toMatchObject({ state: "pending", attempts: 1, response_status: null });
	const attempts = await listAttempts(server, owner, endpoint, delivery.id);
	expect(attempts).toHaveLength(1);
	expect(attempts[0]).toMatchObject({ error_code: delivery.error_code, error: delivery.last_error });
	return attempts[0];
}

describe("an error before anything was sent", () => {
	it("is an attempt with its code: a header that cannot be sent", async () => {
		const server = await startTestServer();
		const owner = await addOrganization(server);
		const receiver = await receiving();
		const endpoint = await addEndpoint(server, owner, { url: receiver.url });
		await server.sql("update webhook_endpoints set headers = $1 where id = $2", [
			{ "X-Split": "a\r\nX-More: b" },
			toUuid(endpoint.id),
		]);
		expect(await attemptOf(server, owner, endpoint)).toMatchObject({
			error_code: "unknown",
			error: "The request could not be built: check the endpoint's headers.",
		});
		expect(receiver.requests).toEqual([]);
	});

	it("is an attempt with its code: a certificate that nobody vouches for", async () => {
		const server = await startTestServer();
		const owner = await addOrganization(server);
		const receiver = await receiving({ tls: RECEIVER_TLS });
		const endpoint = await addEndpoint(server, owner, { url: receiver.url });
		expect(await attemptOf(server, owner, endpoint)).toMatchObject({ error_code: "tls_error" });
		expect(receiver.requests).toEqual([]);
	});

	it("is an attempt with its code: DNS that does not know the name, or answers with no address", async () => {
		for (const resolver of [() => Promise.reject(new Error("SERVFAIL")), async () => []]) {
			const server = await startTestServer({ resolver });
			const owner = await addOrganization(server);
			const endpoint = await addEndpoint(server, owner, { url: "http://gone.example/" });
			expect(await attemptOf(server, owner, endpoint)).toMatchObject({ error_code: "dns_error" });
		}
	});
});

describe("DNS that fails twice and then answers", () => {
	it("is tried again like any other failure, until the event is delivered", async () => {
		let isBroken = true;
		const server = await startTestServer({
			resolver: async () => {
				if (isBroken) throw new Error("SERVFAIL");
				return [loopback];
			},
		});
		const owner = await addOrganization(server);
		const receiver = await receiving();
		const url = `http://flaky.example:${receiver.port}/`;
		const endpoint = await addEndpoint(server, owner, { url });
		await attemptOf(server, owner, endpoint);
		await passTime(server, 7_000, endpoint);
		const { id } = await newestDelivery(server, owner, endpoint, ({ attempts }) => attempts === 2);
		await until(async () => (await listAttempts(server, owner, endpoint, id)).length === 2);
		isBroken = false;
		await passTime(server, 400_000, endpoint);
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		expect(await listAttempts(server, owner, endpoint, id)).toMatchObject([
			{ number: 1, error_code: "dns_error" },
			{ number: 2, error_code: "dns_error" },
			{ number: 3, error_code: null, response_status: 200 },
		]);
		expect(receiver.requests).toHaveLength(1);
	});
});
