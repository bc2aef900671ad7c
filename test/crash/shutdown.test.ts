import { expect, it } from "vitest";
import {
	addEndpoint,
	addOrganization,
	listDeliveries,
	publish,
	receiving,
} from "../deliveries/webhook-server.ts";
import { startWorker } from "../deliveries/worker-process.ts";
import type { Reply } from "../support/receiver.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

const published = 60;
const quick = 20;
const inFlight = 5;

it("a worker told to stop ends what is in flight and gives the rest back, none of which has used an attempt", async () => {
	const api = await startTestServer({ env: { ROLE: "api" } });
	const env = { WEBHOOK_ENDPOINT_CONCURRENCY: String(inFlight), WEBHOOK_CONCURRENCY: String(4 * inFlight) };
	const worker = await startWorker(api, env);
	const owner = await addOrganization(api);
	const receiver = await receiving();
	const held = Promise.withResolvers<Reply>();
	// Quick at first, so that some are claimed ahead.
	receiver.respondWith(() => (receiver.requests.length <= quick ? 200 : held.promise));
	const endpoint = await addEndpoint(api, owner, { url: receiver.url });
	await publish(api, owner, {
		events: Array.from({ length: published }, (_, at) => ({ type: "a", data: at })),
	});
	await receiver.waitFor(quick + inFlight);
	worker.signal("SIGTERM");
	await until(() => worker.output().includes('"stopping"'));
	held.resolve(200);
	expect(await worker.exited).toEqual({ code: 0, signal: null });

	const stopped = await listDeliveries(api, owner, endpoint, "?limit=100");
	const delivered = stopped.filter(({ state }) => state === "delivered");
	expect(delivered).toHaveLength(receiver.requests.length);
	expect(delivered.length).toBeLessThan(published);
	const rest = stopped.filter(({ state }) => state === "pending");
	expect(rest).toHaveLength(published - delivered.length);
	expect(rest.filter(({ attempts }) => attempts !== 0)).toEqual([]);

	await startWorker(api, env);
	await until(
		async () => (await listDeliveries(api, owner, endpoint, "?limit=100&state=pending")).length === 0,
	);
	const all = await listDeliveries(api, owner, endpoint, "?limit=100");
	expect(all.filter(({ state, attempts }) => state !== "delivered" || attempts !== 1)).toEqual([]);
	expect(receiver.requests).toHaveLength(published);
});
