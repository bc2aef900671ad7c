import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	listDeliveries,
	newestDelivery,
	type Owner,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { runOn } from "./cli-process.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeEach(async () => {
	server = await startTestServer({ env: { WEBHOOK_RETRY_SCHEDULE: "0,60" } });
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: `${receiver.url}/hook`, event_types: ["a"] });
});

describe("operator commands for deliveries", () => {
	it("pause an endpoint, whose deliveries wait without using an attempt, and resume it", async () => {
		receiver.respondWith(500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		await newestDelivery(server, owner, endpoint, (delivery) => delivery.attempts === 1);
		const paused = await runOn(server, ["pause", "--endpoint", endpoint.id, "--json"]);
		expect(paused).toMatchObject({ code: 0, json: { endpoint_id: endpoint.id, is_active: false } });
		await passTime(server, 3600_000, endpoint);
		// A lane is looked at again and again: what is not sent in a later request's time is not sent.
		const other = await addEndpoint(server, owner, { url: `${receiver.url}/other` });
		await publish(server, owner, { type: "b", data: 2 });
		await newestDelivery(server, owner, other, (delivery) => delivery.state === "delivered");
		expect(await listDeliveries(server, owner, endpoint)).toMatchObject([{ state: "pending", attempts: 1 }]);
		// What waits for an inactive endpoint is not overdue.
		expect(await runOn(server, ["list-stuck"])).toMatchObject({ code: 0, stdout: "Nothing is stuck.\n" });

		expect((await runOn(server, ["resume", "--endpoint", endpoint.id])).code).toBe(0);
		const sent = await newestDelivery(server, owner, endpoint, (delivery) => delivery.state === "delivered");
		expect(sent.attempts).toBe(2);
	});

	it("pause all deliveries, on every replica and for as long as it takes, without using an attempt", async () => {
		receiver.respondWith(500, 200);
		await publish(server, owner, { type: "a", data: 1 });
		await newestDelivery(server, owner, endpoint, (delivery) => delivery.attempts === 1);
		const other = await startTestServer({ databaseUrl: server.databaseUrl, keep: true });
		onTestFinished(() => other.close());
		const paused = await runOn(server, ["pause", "--all", "--reason", "the network is down", "--json"]);
		expect(paused).toMatchObject({ code: 0, json: { reason: "the network is down" } });
		const [{ now } = { now: "" }] = await server.sql<{ now: string }>("select pg_catalog.now()::text as now");
		await passTime(server, 24 * 3600_000, endpoint);
		await publish(other, owner, { type: "a", data: 2 });
		const behind = `select from pg_stat_activity where datname = current_database()
			and application_name = 'capydb-claims' and query_start <= $1::timestamptz + interval '2 seconds'`;
		await until(async () => (await server.sql(behind, [now])).length === 0, {
			what: "claims of both replicas",
		});
		const waiting = await listDeliveries(server, owner, endpoint);
		expect(waiting).toMatchObject([
			{ state: "pending", attempts: 0 },
			{ state: "pending", attempts: 1 },
		]);
		const told = await runOn(server, ["list-stuck"]);
		expect(told).toMatchObject({ code: 1, stdout: expect.stringContaining(": the network is down\n") });

		expect(await runOn(server, ["resume", "--all"])).toMatchObject({ code: 0, stdout: "Sending again.\n" });
		await until(async () => {
			const deliveries = await listDeliveries(server, owner, endpoint, "?state=delivered");
			return deliveries.length === 2;
		});
		expect(receiver.requests).toHaveLength(3);
		expect((await runOn(server, ["resume", "--all"])).stdout).toBe("Deliveries were not paused.\n");
	});

	it("replay what failed, by a job of the server's", async () => {
		receiver.respondWith(400, 400, 200);
		const { event } = await publish(server, owner, { type: "a", data: 1 });
		await newestDelivery(server, owner, endpoint, (delivery) => delivery.attempts === 1);
		await passTime(server, 120_000, endpoint);
		await newestDelivery(server, owner, endpoint, (delivery) => delivery.state === "failed");
		const since = ["--endpoint", endpoint.id, "--since", "2020-01-01T00:00:00Z"];
		const counted = await runOn(server, ["replay", ...since, "--dry-run", "--json"]);
		expect(counted.json).toEqual({ matched: 1, matched_capped: false });
		const replayed = await runOn(server, ["replay", ...since]);
		expect(replayed).toMatchObject({ code: 0, stderr: "" });
		expect(replayed.stdout).toMatch(/^1 event will be sent by job job_\w+\.\n$/);
		const sent = await newestDelivery(server, owner, endpoint, (delivery) => delivery.state === "delivered");
		expect(sent).toMatchObject({ event_id: event.id, attempts: 1 });
	});

	it("list deliveries that nobody sends, jobs that nobody runs and webhooks that take no effect", async () => {
		const api = await startTestServer({ env: { ROLE: "api" } });
		const tenant = await addOrganization(api);
		const waiting = await addEndpoint(api, tenant, { url: `${receiver.url}/hook` });
		await publish(api, tenant, { type: "a", data: 1 });
		const body = { name: "web", organization_id: tenant.organizationId };
		const { body: made } = await api.call("POST", "/v1/projects", { body });
		await api.sql(
			`insert into inbound_webhooks (organization_id, id, project_id, integration_id, provider, provider_event_id,
				type, state, document, body_hash, error) values ($1, uuid_v7(), $2, uuid_v7(), 'clerk', 'msg_1',
				'user.created', 'received', '{}', '', 'The database cannot be reached.')`,
			[toUuid(tenant.organizationId), toUuid(made.project.id)],
		);
		expect(await runOn(api, ["list-stuck", "--json"])).toMatchObject({
			code: 0,
			json: { deliveries: [], jobs: [], inbound: [] },
		});

		await api.advance(600_000);
		const stuck = await runOn(api, ["list-stuck", "--json"]);
		expect(stuck.code).toBe(1);
		const { deliveries, jobs, inbound } = stuck.json;
		expect(deliveries).toMatchObject([
			{ endpoint_id: waiting.id, due: 1, oldest_seconds: expect.any(Number) },
		]);
		expect(deliveries[0].oldest_seconds).toBeGreaterThanOrEqual(600);
		expect(jobs).toMatchObject([{ id: made.job.id, state: "pending", type: "instance.create" }]);
		expect(inbound).toMatchObject([
			{ project_id: made.project.id, provider: "clerk", count: 1, error: "The database cannot be reached." },
		]);
		const told = (await runOn(api, ["list-stuck"])).stdout;
		for (const id of [waiting.id, made.job.id, made.project.id]) expect(told).toContain(id);
	});
});
