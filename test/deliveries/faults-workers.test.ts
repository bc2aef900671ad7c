import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { ServerProcess } from "../journeys/server-process.ts";
import type { ReceivedRequest, Receiver, Reply } from "../support/receiver.ts";
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
	passLeases,
	publish,
	receiving,
} from "./webhook-server.ts";
import { startWorker } from "./worker-process.ts";

/** The deadline of an attempt and the time to write its result. */
const leaseMs = 30_000;

type Held = {
	/** A server that only answers the API; the worker, a process of its own, is the one that sends. */
	api: TestServer;
	worker: ServerProcess;
	owner: Owner;
	endpoint: AddedEndpoint;
	receiver: Receiver;
	delivery: Body;
	/** Lets the receiver answer the worker's request. */
	answer(reply: Reply): void;
	attempts(): Promise<Body[]>;
	newest(holds: (delivery: Body) => boolean): Promise<Body>;
};

/** A worker whose first request has arrived and is not answered yet; later ones are answered as told. */
async function holdRequest(later: Reply): Promise<Held> {
	const api = await startTestServer({ env: { ROLE: "api" } });
	const worker = await startWorker(api, {});
	const owner = await addOrganization(api);
	const receiver = await receiving();
	const { promise, resolve } = Promise.withResolvers<Reply>();
	receiver.respondWith(() => promise, later);
	const endpoint = await addEndpoint(api, owner, { url: receiver.url });
	await publish(api, owner, { type: "a", data: 1 });
	await receiver.waitFor(1);
	const delivery = await newestDelivery(api, owner, endpoint, ({ attempts }) => attempts === 1);
	return {
		...{ api, worker, owner, endpoint, receiver, delivery },
		answer: resolve,
		attempts: () => listAttempts(api, owner, endpoint, delivery.id),
		newest: (holds) => newestDelivery(api, owner, endpoint, holds),
	};
}

/** Another worker takes over once the lease has run out. */
async function takeOver({ api, endpoint }: Held): Promise<TestServer> {
	const other = await startTestServer({ databaseUrl: api.databaseUrl, env: { ROLE: "worker" } });
	await passLeases(other, leaseMs + 1_000, endpoint);
	return other;
}

const idsOf = ({ headers }: ReceivedRequest) => [headers["webhook-id"], headers["x-capydb-delivery"]];

describe("a worker that dies after the receiver's 2xx and before the result is written", () => {
	it("costs no attempt: it is kept as unknown, and the same ids are sent again, with one success", async () => {
		const held = await holdRequest(200);
		// Paused before the answer and killed after it: the 2xx is there, and nobody can have written it down.
		held.worker.signal("SIGSTOP");
		held.answer(200);
		await turn();
		held.worker.signal("SIGKILL");
		expect(await held.worker.exited).toMatchObject({ signal: "SIGKILL" });
		expect(await held.attempts()).toEqual([]);
		await takeOver(held);
		const delivery = await held.newest(({ state }) => state === "delivered");
		expect(delivery).toMatchObject({ id: held.delivery.id, attempts: 2, error_code: null });
		expect(delivery.max_attempts - delivery.attempts).toBe(
			held.delivery.max_attempts - held.delivery.attempts,
		);
		expect(await held.attempts()).toMatchObject([
			{ number: 1, error_code: "unknown", response_status: null, error: expect.stringMatching(/^The .*\.$/) },
			{ number: 2, error_code: null, response_status: 200 },
		]);
		const [first, second, ...more] = held.receiver.requests.map(idsOf);
		expect(second).toEqual(first);
		expect(more).toEqual([]);
	});
});

describe("a worker that was paused beyond its lease", () => {
	it("changes nothing with its late result while another holds the delivery", async () => {
		const second = Promise.withResolvers<Reply>();
		const held = await holdRequest(500);
		held.receiver.respondWith(() => second.promise);
		held.worker.signal("SIGSTOP");
		await takeOver(held);
		await held.receiver.waitFor(2);
		held.answer(200);
		held.worker.signal("SIGCONT");
		const late = await until(async () => {
			const attempts = await held.attempts();
			return attempts.find(({ response_status: status }) => status === 200);
		});
		expect(late.number).toBe(1);
		expect(await held.newest(() => true)).toMatchObject({
			state: "pending",
			attempts: 2,
			delivered_at: null,
		});
		second.resolve(500);
		const failed = await held.newest(({ error_code: code }) => code !== null);
		expect(failed).toMatchObject({ state: "pending", attempts: 2, response_status: 500, delivered_at: null });
	});

	it("does not undo with its late failure what another has delivered", async () => {
		const held = await holdRequest(200);
		held.worker.signal("SIGSTOP");
		await takeOver(held);
		const delivered = await held.newest(({ state }) => state === "delivered");
		held.answer(500);
		held.worker.signal("SIGCONT");
		await until(async () => (await held.attempts()).some(({ response_status: status }) => status === 500));
		expect(await held.newest(() => true)).toEqual(delivered);
		expect(held.receiver.requests).toHaveLength(2);
	});
});

describe("a delivery during whose attempts the server stops again and again", () => {
	/** As the last of many claims left it whose process died. */
	async function lose(attempts: number) {
		const api = await startTestServer({ env: { ROLE: "api" } });
		const owner = await addOrganization(api);
		const receiver = await receiving();
		const endpoint = await addEndpoint(api, owner, { url: receiver.url });
		await publish(api, owner, { type: "a", data: 1 });
		await api.sql(
			`update deliveries set attempts = $1, max_attempts = 100, claim_id = gen_random_uuid(), updated_at = clock_now(),
				lease_until = clock_now() + interval '30 seconds'`,
			[attempts],
		);
		const other = await startTestServer({ databaseUrl: api.databaseUrl, env: { ROLE: "worker" } });
		await passLeases(other, leaseMs + 1_000, endpoint);
		const delivery = await newestDelivery(api, owner, endpoint, ({ state }) => state !== "pending");
		return { delivery, receiver, attempts: await listAttempts(api, owner, endpoint, delivery.id) };
	}

	it("is sent once more after 99 attempts", async () => {
		const { delivery, receiver } = await lose(99);
		expect(delivery).toMatchObject({ state: "delivered", attempts: 100 });
		expect(receiver.requests).toHaveLength(1);
	});

	it("is given up after 100, unsent, and its attempts say why", async () => {
		const { delivery, receiver, attempts } = await lose(100);
		expect(delivery).toMatchObject({ state: "failed", next_attempt_at: null, error_code: "unknown" });
		expect(delivery.last_error).toMatch(/given up\.$/);
		expect(attempts).toMatchObject([
			{ number: 100, error_code: "unknown", error: expect.stringMatching(/^The server stopped during this/) },
			{ number: 101, error_code: "unknown", error: delivery.last_error },
		]);
		expect(receiver.requests).toEqual([]);
	});
});
