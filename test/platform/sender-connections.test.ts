import { describe, expect, it, vi } from "vitest";
import { createAddressGuard } from "../../src/platform/address-guard.ts";
import { createSender } from "../../src/platform/sender.ts";
import { FORBIDDEN_NAMES, FORBIDDEN_SPELLINGS } from "../fixtures/addresses.ts";
import { RECEIVER_TLS } from "../support/receiver.ts";
import { failureTo, loopback, post, receiving, sender } from "../support/sending.ts";

describe("TLS", () => {
	it("to a certificate that nobody signed is tls_error", async () => {
		const receiver = await receiving({ tls: RECEIVER_TLS });
		expect(await failureTo(receiver.url)).toBe("tls_error");
		expect(receiver.requests).toEqual([]);
	});

	it("to a certificate of another name is tls_error", async () => {
		const receiver = await receiving({ tls: RECEIVER_TLS });
		const outcome = await sender({ guard: named("127.0.0.1"), ca: RECEIVER_TLS.cert }).send(
			post(`https://other.test:${receiver.port}/`),
		);
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "tls_error" });
	});

	it("to a receiver that speaks plain http is tls_error", async () => {
		const receiver = await receiving();
		expect(await failureTo(receiver.url.replace("http:", "https:"))).toBe("tls_error");
	});

	it("is verified, not skipped, by NODE_TLS_REJECT_UNAUTHORIZED", async () => {
		const receiver = await receiving({ tls: RECEIVER_TLS });
		vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
		try {
			expect(await failureTo(receiver.url)).toBe("tls_error");
		} finally {
			vi.unstubAllEnvs();
		}
	});

	it("to a trusted certificate works, by name and by address", async () => {
		const receiver = await receiving({ tls: RECEIVER_TLS });
		const client = sender({ guard: named("127.0.0.1"), ca: RECEIVER_TLS.cert });
		for (const host of ["receiver.test", "127.0.0.1"]) {
			const outcome = await client.send(post(`https://${host}:${receiver.port}/`));
			expect(outcome).toMatchObject({ kind: "answered", status: 200, addressVerdict: "allowed" });
		}
	});
});

describe("the address guard", () => {
	it.each(["127.0.0.1", "[::1]", ...[...FORBIDDEN_NAMES, ...FORBIDDEN_SPELLINGS].map(([host]) => host)])(
		"refuses https://%s at connect",
		async (host) => {
			const receiver = await receiving({ tls: RECEIVER_TLS });
			const guard = createAddressGuard({ allow: [] });
			const outcome = await sender({ guard }).send(post(`https://${host}:${receiver.port}/`));
			expect(outcome).toMatchObject({ kind: "failed", errorCode: "blocked_address" });
			expect(receiver.connections).toBe(0);
		},
	);

	it("refuses cloud metadata when any address is allowed", async () => {
		const client = sender({ guard: createAddressGuard({ allow: "any" }) });
		for (const host of [
			"169.254.169.254",
			"[::ffff:a9fe:a9fe]",
			"[fd00:ec2::254]",
			"metadata.google.internal",
		]) {
			expect(await client.send(post(`http://${host}/`))).toMatchObject({ errorCode: "blocked_address" });
		}
	});

	it("refuses a name that one forbidden address belongs to", async () => {
		const receiver = await receiving();
		const guard = named("8.8.8.8", "127.0.0.1", { allow: [] });
		const outcome = await sender({ guard }).send(post(`https://mixed.example:${receiver.port}/`));
		expect(outcome).toMatchObject({ kind: "failed", errorCode: "blocked_address" });
		expect(receiver.connections).toBe(0);
	});

	it("judges again at every connect, when DNS changed its answer after the endpoint was saved", async () => {
		const receiver = await receiving({ keepAliveTimeoutMs: 1 });
		let address = "127.0.0.1";
		const guard = createAddressGuard({
			allow: ["127.0.0.0/8"],
			resolver: async () => [{ address, family: 4 }],
		});
		const client = sender({ guard });
		const request = post(`http://rebinding.example:${receiver.port}/`);
		receiver.respondWith({ status: 200, headers: { connection: "close" } });
		expect(await client.send(request)).toMatchObject({ kind: "answered" });
		address = "10.0.0.1";
		expect(await client.send(request)).toMatchObject({ kind: "failed", errorCode: "blocked_address" });
	});

	it("lets plain http go to allowlisted addresses only", async () => {
		const client = sender({ guard: named("8.8.8.8") });
		for (const host of ["8.8.8.8", "[2606:4700::1111]", "public.example"]) {
			expect(await client.send(post(`http://${host}/`))).toMatchObject({ errorCode: "blocked_address" });
		}
		const mixed = sender({ guard: named("127.0.0.1", "8.8.8.8") });
		expect(await mixed.send(post("http://mixed.example/"))).toMatchObject({ errorCode: "blocked_address" });
	});
});

describe("connections", () => {
	it("are kept: 1,000 requests use no more than the limit for their origin", async () => {
		const receiver = await receiving();
		const client = sender({ connectionsPerOriginMax: 8 });
		let left = 1000;
		const statuses = new Set<unknown>();
		const loop = async () => {
			while (left > 0) {
				left -= 1;
				const outcome = await client.send(post(receiver.url));
				statuses.add(outcome.kind === "answered" ? outcome.status : outcome.errorCode);
			}
		};
		await Promise.all(Array.from({ length: 8 }, loop));
		expect([...statuses]).toEqual([200]);
		expect(receiver.requests.length).toBe(1000);
		expect(receiver.connections).toBeLessThanOrEqual(8);
	});

	it("that the receiver closed while they were idle are replaced without a failure", async () => {
		const receiver = await receiving();
		const client = sender();
		for (let count = 1; count <= 20; count += 1) {
			receiver.respondWith({ status: 200, thenClose: true });
			expect(await client.send(post(receiver.url))).toMatchObject({ kind: "answered", status: 200 });
			await expect.poll(() => receiver.openConnections, { interval: 1 }).toBe(0);
		}
		expect(receiver.requests.length).toBe(20);
	});

	it("to one hanging origin hold up no other origin", async () => {
		const [stuck, quick] = [await receiving(), await receiving()];
		stuck.respondWith("hang");
		const client = sender({ deadlineMs: 1000, connectionsPerOriginMax: 2 });
		const hanging = Array.from({ length: 10 }, () => client.send(post(stuck.url)));
		const outcome = await client.send(post(quick.url));
		expect(outcome).toMatchObject({ kind: "answered" });
		expect(outcome.durationMs).toBeLessThan(500);
		expect((await Promise.all(hanging)).map((each) => each.kind)).toEqual(new Array(10).fill("failed"));
	});

	it("are closed after the requests in flight have ended", async () => {
		const receiver = await receiving();
		receiver.respondWith({ status: 200, delayMs: 100 });
		const client = createSender({ guard: loopback, deadlineMs: 2000, connectionsPerOriginMax: 2 });
		const sent = client.send(post(receiver.url));
		await receiver.waitFor(1);
		await client.close();
		expect(await sent).toMatchObject({ kind: "answered", status: 200 });
		await expect.poll(() => receiver.openConnections).toBe(0);
	});
});

function named(...parts: (string | { allow: string[] })[]) {
	const addresses = parts.filter((part) => typeof part === "string");
	const { allow } = parts.find((part) => typeof part === "object") ?? { allow: ["127.0.0.0/8"] };
	return createAddressGuard({
		allow,
		resolver: async () => addresses.map((address) => ({ address, family: 4 })),
	});
}
