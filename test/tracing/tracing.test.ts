import { once } from "node:events";
import { request } from "node:http";
import { describe, expect, it } from "vitest";
import {
	addEndpoint,
	addOrganization,
	newestDelivery,
	passTime,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import {
	connect,
	newUser,
	projectSql,
	send,
	settledInbound,
	startClerkServer,
} from "../integrations/clerk-server.ts";
import { startTestServer } from "../support/server.ts";
import { type CollectedSpan, startCollector } from "./collector.ts";

const callersTrace = "0af7651916cd43dd8448eb211c80319c";
const callersSpan = "b7ad6b7169203331";
const traceparent = `00-${callersTrace}-${callersSpan}-01`;

const isOf =
	(attribute: string, value: unknown) =>
	({ attributes }: CollectedSpan) =>
		attributes[attribute] === value;

describe("a request", () => {
	it("continues its caller's trace, and what it publishes is a part of it", async () => {
		const collector = await startCollector();
		const server = await startTestServer({ env: { ...collector.env, OTEL_SERVICE_NAME: "hooks" } });
		const { organizationId, key } = await addOrganization(server);
		const answer = await server.call("POST", `/v1/organizations/${organizationId}/events`, {
			key,
			body: { type: "invoice.paid", data: { total: 12 } },
			headers: { traceparent },
		});
		const received = await collector.find("the request's span", ({ kind, traceId }) => {
			return kind === "server" && traceId === callersTrace;
		});
		expect(received).toMatchObject({
			name: "POST /v1/organizations/:orgID/events",
			parentId: callersSpan,
			failed: false,
			resource: { "service.name": "hooks", "service.instance.id": server.ctx.replica },
		});
		expect(received.attributes).toEqual({
			"http.request.method": "POST",
			"http.route": "/v1/organizations/:orgID/events",
			"http.response.status_code": 202,
			"url.scheme": "http",
			"capydb.request_id": answer.headers.get("x-request-id"),
		});
		const published = await collector.find("the publish", isOf("messaging.message.id", answer.body.event.id));
		expect(published).toMatchObject({ name: "publish events", kind: "producer", traceId: callersTrace });
		expect(published.parentId).toBe(received.spanId);
		expect(published.attributes).toMatchObject({
			"capydb.organization_id": organizationId,
			"capydb.event_type": "invoice.paid",
			"capydb.deliveries": 0,
		});
	});

	it("is one trace also when its body comes later than its head", async () => {
		const collector = await startCollector();
		const server = await startTestServer({ env: collector.env });
		const { organizationId, key } = await addOrganization(server);
		const posted = request(`${server.url}/v1/organizations/${organizationId}/events`, {
			method: "POST",
			headers: {
				authorization: `Bearer ${key}`,
				"content-type": "application/json",
				expect: "100-continue",
				traceparent,
			},
		});
		posted.flushHeaders();
		await once(posted, "continue");
		posted.end('{"type": "invoice.paid", "data": 1}');
		const [answer] = await once(posted, "response");
		expect(answer.resume().statusCode).toBe(202);
		const published = await collector.find("the publish", ({ name }) => name === "publish events");
		expect(published.traceId).toBe(callersTrace);
	});

	it("begins a trace where its caller has none or a malformed one; probes are not traced", async () => {
		const collector = await startCollector();
		const server = await startTestServer({ env: collector.env });
		for (const malformed of [undefined, "00-0-0-01", `${traceparent}, ${traceparent}`, "ff".repeat(200)]) {
			const { headers } = await server.call("GET", "/v1/nowhere", {
				headers: malformed ? { traceparent: malformed } : {},
			});
			const ofRequest = isOf("capydb.request_id", headers.get("x-request-id"));
			const span = await collector.find("the request", ofRequest);
			expect(span).toMatchObject({ name: "GET", parentId: "", failed: false });
			expect(span.attributes["http.response.status_code"]).toBe(404);
		}
		await server.call("GET", "/healthz");
		await server.call("POST", "/v1/organizations", { rawBody: "{" });
		const refused = await collector.find("the refusal", isOf("http.route", "/v1/organizations"));
		expect(refused.attributes["http.response.status_code"]).toBe(400);
		expect(collector.spans().filter(isOf("http.route", "/healthz"))).toEqual([]);
	});
});

describe("a delivery", () => {
	it("is sent in a span of each attempt, which the receiver is told of", async () => {
		const collector = await startCollector();
		const server = await startTestServer({ env: { ...collector.env, WEBHOOK_RETRY_SCHEDULE: "0,60" } });
		const owner = await addOrganization(server);
		const receiver = await receiving();
		receiver.respondWith(500, 200);
		const endpoint = await addEndpoint(server, owner, { url: `${receiver.url}/hooks?token=1` });
		const { event } = await publish(server, owner, { type: "a.b", data: {} });
		await newestDelivery(server, owner, endpoint, ({ attempts }) => attempts === 1);
		await passTime(server, 90_000, endpoint);
		await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const attempts = await Promise.all(
			[0, 1].map((count) => collector.find(`resend ${count}`, isOf("http.request.resend_count", count))),
		);
		expect(attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)).toEqual(
			receiver.requests.map(({ headers }) => headers.traceparent),
		);
		expect(new Set(attempts.map(({ traceId }) => traceId)).size).toBe(2);
		for (const attempt of attempts) {
			expect(attempt).toMatchObject({ name: "POST", kind: "client", parentId: "" });
			expect(attempt.attributes).toMatchObject({
				"messaging.message.id": event.id,
				"capydb.organization_id": owner.organizationId,
				"capydb.endpoint_id": endpoint.id,
				"capydb.delivery_id": receiver.requests[0]?.headers["x-capydb-delivery"],
				"server.address": "127.0.0.1",
				"server.port": receiver.port,
			});
		}
		expect(attempts.map(({ failed }) => failed)).toEqual([true, false]);
		expect(attempts.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([500, 200]);
		expect(attempts.map(({ attributes }) => attributes["error.type"])).toEqual(["500", undefined]);
	});
});

describe("what a request asks for and does not wait for", () => {
	it("goes on in the request's trace: a job, and the webhook that a provider posts", async () => {
		const collector = await startCollector();
		const site = await startClerkServer(3, collector.env);
		const { id } = await connect(site);
		const child = async (of: CollectedSpan, name: string) =>
			collector.find(`${name} of ${of.name}`, (span) => span.name === name && span.parentId === of.spanId);

		const connected = await collector.find("the connect request", ({ kind, name }) => {
			return kind === "server" && name.endsWith("/clerk/connect");
		});
		const task = await child(connected, "process jobs.run_long");
		expect(task.kind).toBe("consumer");
		const job = await child(task, "job integration.clerk_backfill");
		expect(job.traceId).toBe(connected.traceId);
		expect(job.attributes).toMatchObject({
			"capydb.job_attempt": 1,
			"capydb.project_id": site.tenant.projectId,
		});

		const { id: user } = newUser({ id: "user_traced" });
		await send(site, "user.created", newUser({ id: user }));
		await settledInbound(site.server, 1);
		expect(
			await projectSql(site.server, site.tenant, "select id from capydb_auth.users where id = $1", [user]),
		).toHaveLength(1);
		const posted = await collector.find("the webhook's request", ({ kind, name }) => {
			return kind === "server" && name.includes("/webhook/");
		});
		const applied = await child(await child(posted, "process inbound.apply"), "apply webhooks");
		expect(applied.attributes).toMatchObject({ "capydb.provider": "clerk", "capydb.integration_id": id });
		expect(await child(applied, "publish events")).toMatchObject({ traceId: posted.traceId });
	});
});

describe("a process", () => {
	it("takes the exporter's own variables, and sends what is left before it ends", async () => {
		const collector = await startCollector();
		const api = await startTestServer({ env: { ROLE: "api" } });
		const process = await startWorker(api, {
			ROLE: "api",
			OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
			OTEL_EXPORTER_OTLP_HEADERS: "x-team=hooks",
			OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
			OTEL_BSP_SCHEDULE_DELAY: "600000",
		});
		await fetch(`${process.url}/v1/me`);
		expect(collector.requests).toEqual([]);
		expect(await process.stop()).toEqual({ code: 0, signal: null });
		expect(collector.spans().map(({ name }) => name)).toContain("GET /v1/me");
		expect(collector.spans()[0]?.resource).toMatchObject({ "deployment.environment.name": "test" });
		expect(collector.requests[0]?.headers).toMatchObject({ "x-team": "hooks" });
	});
});
