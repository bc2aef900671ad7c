import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { nextWaitMs, readRetryAfter } from "../../src/deliveries/engine/retry-schedule.ts";
import type { Receiver } from "../support/receiver.ts";
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

const schedule = [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000];

describe("the wait before an attempt", () => {
	it("is the schedule's, jittered by 20 % either way", () => {
		for (const [at, seconds] of schedule.entries()) {
			const wait = (random: number) =>
				nextWaitMs(schedule, { attempts: at, maxAttempts: 8 }, null, random) ?? Number.NaN;
			expect(wait(0)).toBeCloseTo(seconds * 800);
			expect(wait(0.5)).toBeCloseTo(seconds * 1000);
			expect(wait(1)).toBeCloseTo(seconds * 1200);
		}
		expect(nextWaitMs(schedule, { attempts: 8, maxAttempts: 8 }, null, 0)).toBeNull();
	});

	it("repeats its place in the schedule for an attempt that our own crash cost", () => {
		expect(nextWaitMs(schedule, { attempts: 3, maxAttempts: 9 }, null, 0.5)).toBe(300_000);
	});

	it("is lengthened by Retry-After up to six hours, and never shortened", () => {
		const wait = (retryAfterMs: number) =>
			nextWaitMs(schedule, { attempts: 2, maxAttempts: 8 }, retryAfterMs, 0.5);
		expect(wait(0)).toBe(300_000);
		expect(wait(299_000)).toBe(300_000);
		expect(wait(600_000)).toBe(600_000);
		expect(wait(7 * 3600_000)).toBe(6 * 3600_000);
	});

	it.each([
		["120", 120_000],
		[" 120 ", 120_000],
		["0", 0],
		["Fri, 31 Dec 1999 23:59:59 GMT", 0],
		["Sat, 01 Jan 2000 00:01:00 GMT", 60_000],
		["Thu, 01 Jan 2099 00:00:00 GMT", Date.UTC(2099, 0) - Date.UTC(2000, 0)],
		["-1", null],
		["1.5", null],
		["soon", null],
		["", null],
		["99999999999", null],
		["2000-01-01T00:01:00Z", null],
	])("reads Retry-After %j", (text, ms) => {
		expect(readRetryAfter(text, new Date(Date.UTC(2000, 0)))).toBe(ms);
	});
});

describe("a failing delivery", () => {
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
		endpoint = await addEndpoint(server, owner, { url: receiver.url });
	});

	/** The delivery once that many attempts were written down. */
	async function afterAttempts(count: number): Promise<Body> {
		const { id } = await newestDelivery(server, owner, endpoint, () => true);
		await until(async () => (await listAttempts(server, owner, endpoint, id)).length === count);
		return newestDelivery(server, owner, endpoint, () => true);
	}

	it("is tried as often as the schedule has numbers, each wait as the schedule says, then failed", async () => {
		receiver.respondWith(500);
		await publish(server, owner, { type: "a", data: 1 });
		for (let made = 1; made < schedule.length; made += 1) {
			const delivery = await afterAttempts(made);
			expect(delivery).toMatchObject({ state: "pending", attempts: made, max_attempts: 8 });
			const waitMs = Date.parse(delivery.next_attempt_at) - Date.parse(delivery.updated_at);
			const seconds = schedule[made] ?? 0;
			expect(waitMs).toBeGreaterThanOrEqual(seconds * 800 - 2);
			expect(waitMs).toBeLessThanOrEqual(seconds * 1200 + 2);
			await passTime(server, waitMs + 1, endpoint);
			await receiver.waitFor(made + 1);
		}
		const failed = await afterAttempts(8);
		expect(failed).toMatchObject({ state: "failed", attempts: 8, next_attempt_at: null });
		await passTime(server, 48 * 3600_000, endpoint);
		await publish(server, owner, { type: "after", data: 1 });
		await receiver.waitFor(9);
		expect(receiver.requests.at(-1)?.headers["x-capydb-event"]).toBe("after");
	});

	it("is not tried before its time", async () => {
		receiver.respondWith(500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		const delivery = await afterAttempts(1);
		const waitMs = Date.parse(delivery.next_attempt_at) - Date.parse(delivery.updated_at);
		await passTime(server, waitMs - 3_000, endpoint);
		await publish(server, owner, { type: "after", data: 1 });
		await receiver.waitFor(2);
		expect(receiver.requests.at(-1)?.headers["x-capydb-event"]).toBe("after");
	});

	it("is picked up at its time without being woken", async () => {
		receiver.respondWith(500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		await afterAttempts(1);
		await server.advance(7_000);
		await receiver.waitFor(2);
	});

	it.each([
		[429, "600", 600],
		[503, "600", 600],
		[429, "1", 4],
		[503, "999999", 6 * 3600],
		[429, "-5", 4],
		[429, "garbage", 4],
		[500, "600", 4],
		[404, "600", 4],
	])("answered %i with Retry-After: %s waits at least %i s", async (status, retryAfter, seconds) => {
		receiver.respondWith({ status, headers: { "Retry-After": retryAfter } });
		await publish(server, owner, { type: "a", data: 1 });
		const delivery = await afterAttempts(1);
		const waitMs = Date.parse(delivery.next_attempt_at) - Date.parse(delivery.updated_at);
		expect(waitMs).toBeGreaterThanOrEqual(seconds * 1000 - 2);
		expect(waitMs).toBeLessThanOrEqual(Math.max(6_002, seconds * 1000 + 2));
	});

	it("answered 410 is failed at once", async () => {
		receiver.respondWith(410);
		await publish(server, owner, { type: "a", data: 1 });
		const delivery = await afterAttempts(1);
		expect(delivery).toMatchObject({ state: "failed", attempts: 1, next_attempt_at: null });
	});

	it.each([200, 201, 202, 204, 299])("answered %i is delivered", async (status) => {
		receiver.respondWith(status);
		await publish(server, owner, { type: "a", data: 1 });
		expect(await afterAttempts(1)).toMatchObject({ state: "delivered", response_status: status });
	});

	it("succeeds when the receiver comes back, and forgets its error", async () => {
		receiver.respondWith("reset", 200);
		await publish(server, owner, { type: "a", data: 1 });
		expect(await afterAttempts(1)).toMatchObject({ error_code: "connection_reset", response_status: null });
		await passTime(server, 7_000, endpoint);
		expect(await afterAttempts(2)).toMatchObject({
			state: "delivered",
			attempts: 2,
			error_code: null,
			last_error: null,
			response_status: 200,
		});
	});
});
