import { expect, it, onTestFinished } from "vitest";
import { until } from "../support/until.ts";
import { openFleet } from "./fleet.ts";
import { startPublishing } from "./publishing.ts";

it("replacing replicas one by one, under callers that publish without a pause, is seen by none of them", async () => {
	const { server, replicas, balancer, owner, receiver } = await openFleet();
	receiver.respondWith({ status: 200, delayMs: 30 });
	const former = [await replicas.add("all"), await replicas.add("all")];
	for (const { url } of former) balancer.add(url);
	await until(() => balancer.ready() === 2);

	const publishing = startPublishing(balancer, owner, 6);
	onTestFinished(() => publishing.stop());
	await publishing.goOn(100);
	for (const replica of former) {
		replica.signal("SIGTERM");
		expect(await replica.exited).toEqual({ code: 0, signal: null });
		const { url } = await replicas.add("all");
		balancer.add(url);
		await until(() => balancer.ready() === 2);
		await publishing.goOn(100);
	}
	await publishing.stop();

	expect(publishing.trouble).toEqual([]);
	const { taken } = publishing;
	await receiver.waitFor(taken.length);
	const unlike = "select 1 from deliveries where state <> 'delivered' or attempts <> 1";
	await until(async () => (await server.sql(unlike)).length === 0);
	const received = receiver.requests.map(({ body }) => JSON.parse(body.toString()).data);
	expect(received.toSorted()).toEqual(taken.toSorted());
	expect(await server.sql("select 1 from delivery_attempts")).toHaveLength(taken.length);
});
