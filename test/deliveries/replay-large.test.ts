import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toUuid, uuidFloor } from "../../src/core/ids.ts";
import { type ServerProcess, startServerProcess } from "../journeys/server-process.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { quietTrigger } from "../support/triggers.ts";
import { until } from "../support/until.ts";
import { countReplayed, jobOver, postReplay, replay, seedSent } from "./replay-server.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	getBody,
	type Owner,
	receiving,
} from "./webhook-server.ts";

const since = "2020-01-01T00:00:00Z";

/** Answers requests and runs nothing: what it queues waits for another replica. */
let api: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeEach(async () => {
	api = await startTestServer({ env: { ROLE: "api" } });
	owner = await addOrganization(api);
	receiver = await receiving();
	// Its own `job.completed` is no concern of these tests.
	endpoint = await addEndpoint(api, owner, { url: receiver.url, event_types: ["seeded"] });
});

/** A replica of its own process, which can be killed. */
async function startWorkerProcess(): Promise<ServerProcess> {
	const dataDir = await mkdtemp(join(tmpdir(), "capydb-replay-"));
	const worker = await startServerProcess(dataDir, {
		DATABASE_URL: api.databaseUrl,
		ENCRYPTION_KEYS: `test:${Buffer.alloc(32, 7).toString("base64")}`,
		ROLE: "worker",
		BOOTSTRAP: "false",
		WEBHOOK_ALLOW_PRIVATE_NETWORKS: "true",
	});
	onTestFinished(async () => {
		worker.signal("SIGKILL");
		await worker.exited;
		await rm(dataDir, { recursive: true, force: true });
	});
	return worker;
}

/** Makes each step of a replay take a while, so that a test can act in the middle of one. */
async function slowSteps(seconds: number): Promise<void> {
	await api.sql(`create or replace function be_slow() returns trigger language plpgsql as
		'begin perform pg_sleep(${seconds}); return null; end'`);
	await api.sql(`create or replace trigger slow_steps after insert on deliveries
		for each statement execute function be_slow()`);
}

/** Writes events of that time which went to no endpoint. */
async function seedEvents(type: string, count: number, at: Date): Promise<void> {
	await api.sql(
		`insert into events (organization_id, id, type, payload, delivery_count, created_at)
		select $1, overlay(uuid_v7()::text placing $4 from 1)::uuid, $2, '{}', 0, $5 from generate_series(1, $3)`,
		[toUuid(owner.organizationId), type, count, uuidFloor(at).slice(0, 13), at],
	);
	await api.sql("analyze events");
}

async function queuedSoFar(jobId: string): Promise<number> {
	const [row] = await api.sql<{ queued: number }>(
		"select coalesce((progress ->> 'queued')::int, 0) as queued from jobs where id = $1",
		[toUuid(jobId)],
	);
	return row?.queued ?? 0;
}

describe("a replay", () => {
	it("of 10,000 events goes on after its process was killed, each event queued exactly once", async () => {
		await seedSent(api, owner, endpoint, { count: 10_000, state: "failed" });
		await slowSteps(0.3);
		const worker = await startWorkerProcess();
		const { body } = await postReplay(api, owner, endpoint, { since });
		expect(body.matched).toBe(10_000);
		const jobId = body.job.id;
		const atKill = await until(() => queuedSoFar(jobId));
		worker.signal("SIGKILL");
		await worker.exited;
		expect(atKill).toBeLessThan(10_000);
		await quietTrigger(api, "be_slow");
		await startTestServer({ databaseUrl: api.databaseUrl });
		const job = await jobOver(api, owner, jobId);
		expect(job).toMatchObject({ state: "completed", attempts: 1 });
		expect(job.last_stdout).toMatch(/^went on after [\d,]+ deliveries\nqueued 10,000 deliveries$/m);
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 10_000, events: 10_000 });
		await receiver.waitFor((all) => new Set(all.map(idOf)).size === 10_000, 180_000);
	});

	it("of all of 100,000 events twice in a row doubles nothing beyond what was asked", async () => {
		// A receiver that never answers: what is queued stays pending.
		receiver.respondWith("hang");
		await seedSent(api, owner, endpoint, { count: 100_000, state: "delivered" });
		await startTestServer({ databaseUrl: api.databaseUrl, env: { WEBHOOK_CONCURRENCY: "1" } });
		const all = { since, state: "all" };
		const first = await replay(api, owner, endpoint, all);
		expect(first.answer).toMatchObject({ matched: 100_000, matched_capped: false });
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 100_000, events: 100_000 });
		const second = await replay(api, owner, endpoint, all);
		expect(second.answer.matched).toBe(0);
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 100_000, events: 100_000 });
		await api.sql("update deliveries set state = 'delivered', claim_id = null, lease_until = null");
		await seedSent(api, owner, endpoint, { count: 1, state: "delivered" });
		const third = await replay(api, owner, endpoint, all);
		expect(third.answer).toMatchObject({ matched: 100_000, matched_capped: true });
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 200_001, events: 100_001 });
	});

	it("for what was not sent is counted in few of the organization's events, none after `until`, and finds all", async () => {
		const at = (seconds: number) => new Date(Date.now() + 1_000 * seconds);
		await seedEvents("seeded", 2, at(0));
		await seedEvents("other", 260_000, at(7_200));
		await seedEvents("seeded", 3, at(7_260));
		const counted = async (untilAt: string) => {
			const wanted = { since, until: untilAt, include_unsent: true, dry_run: true };
			return (await postReplay(api, owner, endpoint, wanted)).body;
		};
		expect(await counted(at(60).toISOString())).toEqual({ matched: 2, matched_capped: false });
		expect(await counted("2099-01-01T00:00:00Z")).toEqual({ matched: 2, matched_capped: true });
		await startTestServer({ databaseUrl: api.databaseUrl });
		const whole = { since, until: "2099-01-01T00:00:00Z", include_unsent: true };
		const { answer, job } = await replay(api, owner, endpoint, whole);
		expect(answer).toMatchObject({ matched: 2, matched_capped: true });
		expect(job).toMatchObject({ state: "completed" });
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 5, events: 5 });
	});

	it("is one at a time for an endpoint, also of several asked for at once", async () => {
		await seedSent(api, owner, endpoint, { count: 1, state: "failed" });
		const answers = await Promise.all(
			Array.from({ length: 5 }, () => postReplay(api, owner, endpoint, { since })),
		);
		expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 409, 409, 409, 409]);
		expect(answers.find(({ status }) => status === 409)?.body.code).toBe("replay.already_open");
		const other = await addEndpoint(api, owner, { url: receiver.url });
		expect((await postReplay(api, owner, other, { since })).status).toBe(202);
		await startTestServer({ databaseUrl: api.databaseUrl });
		const jobId = answers.find(({ status }) => status === 202)?.body.job.id;
		expect(await jobOver(api, owner, jobId)).toMatchObject({ state: "completed" });
		expect((await postReplay(api, owner, endpoint, { since })).status).toBe(202);
	});

	it("stops when its endpoint is made inactive, and goes on when the job is retried", async () => {
		await seedSent(api, owner, endpoint, { count: 3_000, state: "failed" });
		await slowSteps(0.5);
		await startTestServer({ databaseUrl: api.databaseUrl });
		const { body } = await postReplay(api, owner, endpoint, { since });
		const jobId = body.job.id;
		await until(() => queuedSoFar(jobId));
		const setActive = (isActive: boolean) =>
			api.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: isActive } });
		await setActive(false);
		const stopped = await jobOver(api, owner, jobId);
		expect(stopped).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(stopped.error).toContain("inactive");
		expect((await countReplayed(api, endpoint)).events).toBeLessThan(3_000);
		await setActive(true);
		await quietTrigger(api, "be_slow");
		expect((await api.call("POST", `/v1/jobs/${jobId}/retry`, { key: owner.key })).status).toBe(202);
		expect(await jobOver(api, owner, jobId)).toMatchObject({ state: "completed" });
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 3_000, events: 3_000 });
	});

	it("to an endpoint that is deleted meanwhile fails for good and leaves nothing pending", async () => {
		await seedSent(api, owner, endpoint, { count: 10, state: "failed" });
		const { body } = await postReplay(api, owner, endpoint, { since });
		await api.call("DELETE", endpoint.path, { key: owner.key });
		await startTestServer({ databaseUrl: api.databaseUrl });
		const job = await jobOver(api, owner, body.job.id);
		expect(job).toMatchObject({ state: "failed", retry_classification: "permanent" });
		expect(await countReplayed(api, endpoint)).toEqual({ deliveries: 0, events: 0 });
		expect((await getBody(api, owner, `/v1/jobs/${body.job.id}`)).job.error).toBe(
			"No such webhook endpoint.",
		);
	});
});

function idOf({ headers }: { headers: Record<string, string> }): string {
	return headers["webhook-id"] ?? "";
}
