import { describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { claimStore } from "../../src/deliveries/engine/claim-store.ts";
import { type DatabasePool, openDatabase } from "../../src/platform/db.ts";
import { measuring } from "../support/explain.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Owner,
	publish,
	receiving,
} from "./webhook-server.ts";

const rounds = 9;

/** Milliseconds from the call that publishes to the request's arrival, each round after the one before. */
async function latencies(server: TestServer, owner: Owner, receiver: Receiver): Promise<number[]> {
	const found: number[] = [];
	for (let round = 0; round < rounds; round += 1) {
		const arrived = receiver.requests.length;
		const startedAt = performance.now();
		await publish(server, owner, { type: "quick", data: round });
		await receiver.waitFor(arrived + 1);
		found.push(performance.now() - startedAt);
	}
	return found.toSorted((a, b) => a - b);
}

const median = (sorted: number[]) => sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;

async function publishMany(server: TestServer, owner: Owner, type: string, count: number): Promise<void> {
	for (let from = 0; from < count; from += 500) {
		const events = Array.from({ length: Math.min(500, count - from) }, (_, at) => ({
			type,
			data: from + at,
		}));
		await publish(server, owner, { events });
	}
}

const limits = { rows: 40, lanes: 40, endpointMax: 20, leaseMs: 30_000, busy: [], fullOrganizations: [] };

/** A connection like those of the engine. */
function enginePool(server: TestServer): DatabasePool {
	return openDatabase({
		url: server.databaseUrl,
		applicationName: "capydb-test",
		connectionsMax: 1,
		statementTimeoutMs: 30_000,
		plansByKey: true,
		log: silentLog,
	});
}

describe("an endpoint that hangs, with 2,000 pending", () => {
	it("delays no other endpoint, neither of its own organization nor of another", async () => {
		const server = await startTestServer({ env: { WEBHOOK_TIMEOUT_MS: "60000" } });
		const [owner, neighbour] = [await addOrganization(server), await addOrganization(server)];
		const [stuck, quick, quickToo] = [await receiving(), await receiving(), await receiving()];
		stuck.respondWith("hang");
		await addEndpoint(server, owner, { url: quick.url, event_types: ["quick"] });
		await addEndpoint(server, neighbour, { url: quickToo.url, event_types: ["quick"] });
		const alone = await latencies(server, owner, quick);
		await addEndpoint(server, owner, { url: stuck.url, event_types: ["stuck"] });
		await publishMany(server, owner, "stuck", 2_000);
		await stuck.waitFor(20);
		for (const [of, receiver] of [[owner, quick] as const, [neighbour, quickToo] as const]) {
			const beside = await latencies(server, of, receiver);
			expect(median(beside)).toBeLessThan(5 * (alone.at(-1) ?? 0));
		}
		// It held its own few places all the while, and no more.
		expect(stuck.requests).toHaveLength(20);
	});
});

describe("a tenant that floods", () => {
	const concurrency = 64;

	async function flooded(): Promise<{ server: TestServer; noisy: Owner; quiet: Owner }> {
		const server = await startTestServer({ env: { WEBHOOK_CONCURRENCY: String(concurrency) } });
		return { server, noisy: await addOrganization(server), quiet: await addOrganization(server) };
	}

	/** How much of the flood arrived before each of three events of the quiet tenant, one after the other. */
	async function overtakenBy(server: TestServer, quiet: Owner, flood: Receiver): Promise<number[]> {
		const receiver = await receiving();
		await addEndpoint(server, quiet, { url: receiver.url });
		await flood.waitFor(500);
		const counts: number[] = [];
		for (const turn of [1, 2, 3]) {
			await publish(server, quiet, { type: "quiet", data: turn });
			const before = flood.requests.length;
			await receiver.waitFor(turn);
			counts.push(flood.requests.length - before);
		}
		return counts;
	}

	it("with 5,000 deliveries to one endpoint is overtaken by a quiet tenant's event", async () => {
		const { server, noisy, quiet } = await flooded();
		const flood = await receiving();
		flood.respondWith({ status: 200, delayMs: 5 });
		await addEndpoint(server, noisy, { url: flood.url });
		await publishMany(server, noisy, "flood", 5_000);
		for (const count of await overtakenBy(server, quiet, flood)) expect(count).toBeLessThan(4 * concurrency);
		expect(flood.requests.length).toBeLessThan(4_000);
	});

	it("through many endpoints has one turn among the tenants, not one for each", async () => {
		const server = await startTestServer({ env: { ROLE: "api" } });
		const [noisy, quiet] = [await addOrganization(server), await addOrganization(server)];
		for (let made = 0; made < 60; made += 1)
			await addEndpoint(server, noisy, { url: "http://127.0.0.1:9999/" });
		const served = await addEndpoint(server, quiet, { url: "http://127.0.0.1:9999/" });
		await publishMany(server, noisy, "flood", 20);
		await publish(server, quiet, { type: "quiet", data: 1 });
		await server.sql("update delivery_lanes set due_at = clock_now() - interval '1 minute'");
		// Served last of all: every lane of the flood has waited for longer than this one.
		await server.sql(
			"update delivery_lanes set served_at = clock_now() + interval '1 minute' where endpoint_id = $1",
			[toUuid(served.id)],
		);
		const pool = enginePool(server);
		try {
			const claimed = await claimStore(pool).claim(crypto.randomUUID(), { ...limits, rows: 8, lanes: 8 });
			expect(claimed.map(({ organizationId }) => organizationId)).toContain(quiet.organizationId);
			expect(claimed.length).toBeGreaterThan(1);
		} finally {
			await pool.close();
		}
	});
});

describe("a huge backlog in one lane", () => {
	/** Due deliveries as a publisher would have left them, and the planner not told of them. */
	async function backlog(
		server: TestServer,
		endpoint: AddedEndpoint,
		owner: Owner,
		count: number,
	): Promise<void> {
		await server.sql(
			`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
				max_attempts, next_attempt_at, created_at, updated_at)
			select $1, uuid_v7(), $2, uuid_v7(), 'a', 'event', 'pending', 0, 8, now() - interval '1 second' * random(),
				now(), now()
			from generate_series(1, $3::int)`,
			[toUuid(owner.organizationId), toUuid(endpoint.id), count],
		);
		await server.sql("update delivery_lanes set due_at = now() where endpoint_id = $1", [
			toUuid(endpoint.id),
		]);
	}

	/** Pages that one claim touches. */
	async function claimPages(server: TestServer): Promise<number> {
		const pool = enginePool(server);
		try {
			const measured: { pages: number }[] = [];
			await claimStore(measuring(pool, measured)).claim(crypto.randomUUID(), limits);
			return measured[0]?.pages ?? Number.NaN;
		} finally {
			await pool.close();
		}
	}

	it("does not make a claim dearer, before and after the planner has heard of it", async () => {
		const server = await startTestServer({ env: { ROLE: "api" } });
		const owner = await addOrganization(server);
		const endpoints = [];
		for (let made = 0; made < 3; made += 1) {
			endpoints.push(
				await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/", event_types: ["none"] }),
			);
		}
		for (const endpoint of endpoints) await backlog(server, endpoint, owner, 500);
		const few = await claimPages(server);
		for (const endpoint of endpoints.slice(0, 1)) await backlog(server, endpoint, owner, 100_000);
		const unanalyzed = await claimPages(server);
		await server.sql("analyze deliveries");
		const analyzed = await claimPages(server);
		expect(unanalyzed).toBeLessThan(2 * few);
		expect(analyzed).toBeLessThan(2 * few);
	});
});
