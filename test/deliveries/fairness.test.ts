import { describe, expect, it } from "vitest";
import { newId, toUuid } from "../../src/core/ids.ts";
import { claimStore } from "../../src/deliveries/engine/claim-store.ts";
import { laneStore } from "../../src/deliveries/engine/lane-store.ts";
import { type Database, type DatabasePool, openDatabase } from "../../src/platform/db.ts";
import { measuring } from "../support/explain.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
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

describe("many lanes", () => {
	it("cost a claim and the sweep a step each, not one for each other lane", async () => {
		const server = await startTestServer({ env: { ROLE: "api" } });
		const owner = await addOrganization(server);
		const first = await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/", event_types: ["none"] });
		const lanes = 500;
		await server.sql(
			`insert into webhook_endpoints
			select (jsonb_populate_record(w, jsonb_build_object('id', uuid_v7()))).*
			from webhook_endpoints w, generate_series(2, $2::int) where id = $1`,
			[toUuid(first.id), lanes],
		);
		await server.sql(
			`insert into deliveries (organization_id, id, endpoint_id, event_id, event_type, origin, state, attempts,
				max_attempts, next_attempt_at, created_at, updated_at)
			select organization_id, uuid_v7(), id, uuid_v7(), 'a', 'event', 'pending', 0, 8, now(), now(), now()
			from webhook_endpoints`,
		);
		const pool = enginePool(server);
		const wastedRows = async (work: (database: Database) => Promise<unknown>) => {
			const measured: { pages: number; wastedRows: number }[] = [];
			await work(measuring(pool, measured));
			return measured[0]?.wastedRows ?? Number.NaN;
		};
		const busy = [...Array(100)].map(() => ({ endpointId: newId("whe"), free: 1 }));
		const laneLimits = { ...limits, rows: 200, lanes: 100, busy };
		try {
			for (const statement of ["select", "analyze"]) {
				await server.sql(statement);
				await server.sql(
					`insert into delivery_lanes (endpoint_id, organization_id, due_at)
					select id, organization_id, now() from webhook_endpoints
					on conflict (endpoint_id) do update set due_at = now()`,
				);
				const claimed = await wastedRows((on) => claimStore(on).claim(crypto.randomUUID(), laneLimits));
				expect(claimed).toBeLessThan(10 * lanes);
				await server.sql("update delivery_lanes set due_at = null");
				expect(await wastedRows((on) => laneStore(on).sweep())).toBeLessThan(10 * lanes);
			}
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
	function claimPages(server: TestServer): Promise<number> {
		return pagesOf(server, (database) => claimStore(database).claim(crypto.randomUUID(), limits));
	}

	/** Pages that one sweep touches. */
	function sweepPages(server: TestServer): Promise<number> {
		return pagesOf(server, (database) => laneStore(database).sweep());
	}

	async function pagesOf(
		server: TestServer,
		work: (database: Database) => Promise<unknown>,
	): Promise<number> {
		const pool = enginePool(server);
		try {
			const measured: { pages: number; wastedRows: number }[] = [];
			await work(measuring(pool, measured));
			return measured[0]?.pages ?? Number.NaN;
		} finally {
			await pool.close();
		}
	}

	/** An api server with a due backlog of 500 for each of three endpoints. */
	async function threeLanes(): Promise<{ server: TestServer; owner: Owner; first: AddedEndpoint }> {
		const server = await startTestServer({ env: { ROLE: "api" } });
		const owner = await addOrganization(server);
		const body = { url: "http://127.0.0.1:9999/", event_types: ["none"] };
		const first = await addEndpoint(server, owner, body);
		const others = [await addEndpoint(server, owner, body), await addEndpoint(server, owner, body)];
		for (const endpoint of [first, ...others]) await backlog(server, endpoint, owner, 500);
		return { server, owner, first };
	}

	it("does not make a claim dearer, before and after the planner has heard of it", async () => {
		const { server, owner, first } = await threeLanes();
		const few = await claimPages(server);
		await backlog(server, first, owner, 100_000);
		const unanalyzed = await claimPages(server);
		await server.sql("analyze deliveries");
		const analyzed = await claimPages(server);
		expect(unanalyzed).toBeLessThan(2 * few);
		expect(analyzed).toBeLessThan(2 * few);
	});

	it("does not make a claim dearer whose endpoint is inactive, nor the sweep", async () => {
		const { server, owner, first } = await threeLanes();
		const lane = [toUuid(first.id)];
		const [few, fewSwept] = [await claimPages(server), await sweepPages(server)];
		await backlog(server, first, owner, 100_000);
		const ended = await server.call("PATCH", first.path, { key: owner.key, body: { is_active: false } });
		expect(ended.status).toBe(200);
		const tested = await server.call("POST", `${first.path}/test`, { key: owner.key });
		expect(tested.status).toBe(202);
		for (const statement of ["select", "analyze deliveries"]) {
			await server.sql(statement);
			await server.sql("update delivery_lanes set due_at = now() where endpoint_id = $1", lane);
			expect(await claimPages(server)).toBeLessThan(2 * few);
			// At rest, as a claim leaves it: the sweep looks whether it should be.
			await server.sql("update delivery_lanes set due_at = null where endpoint_id = $1", lane);
			expect(await sweepPages(server)).toBeLessThan(2 * fewSwept);
		}
	});

	it("does not keep an inactive endpoint's lane due: only its tests count", async () => {
		const { server, owner, first } = await threeLanes();
		const ended = await server.call("PATCH", first.path, { key: owner.key, body: { is_active: false } });
		expect(ended.status).toBe(200);
		await server.sql(
			"update deliveries set next_attempt_at = now() + interval '1 minute' where endpoint_id = $1",
			[toUuid(first.id)],
		);
		const ofLane = [toUuid(first.id)];
		const due = () =>
			server.sql<{ due_at: Date }>("select due_at from delivery_lanes where endpoint_id = $1", ofLane);
		await server.sql("update delivery_lanes set due_at = null where endpoint_id = $1", ofLane);
		await server.call("POST", `${first.path}/test`, { key: owner.key });
		// The wake comes after the answer; beside the claims below it would make the lane due once more.
		await until(async () => (await due())[0]?.due_at);
		const pool = enginePool(server);
		const claim = () => claimStore(pool).claim(crypto.randomUUID(), limits);
		const ofFirst = ({ endpointId }: { endpointId: string }) => endpointId === first.id;
		try {
			const taken = (await claim()).filter(ofFirst);
			expect(taken.map(({ eventType }) => eventType)).toEqual(["webhook.test"]);
			const [lane] = await due();
			const [lease] = await server.sql<{ lease_until: Date }>(
				"select lease_until from deliveries where lease_until is not null and endpoint_id = $1",
				ofLane,
			);
			expect(lane?.due_at, "the end of the test's lease").toEqual(lease?.lease_until);
			await claimStore(pool).expire(taken);
			await server.sql("update delivery_lanes set due_at = now()");
			expect((await claim()).filter(ofFirst)).toEqual([]);
			expect(await due()).toEqual([{ due_at: null }]);
		} finally {
			await pool.close();
		}
	});
});
