import { expect, it, onTestFinished } from "vitest";
import { addEndpoint, addOrganization, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { createBalancer } from "./balancer.ts";
import { createReplicaSet } from "./replica-set.ts";

const publishers = 6;

it("replacing replicas one by one, under callers that publish without a pause, is seen by none of them", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const replicas = createReplicaSet(server);
	onTestFinished(() => replicas.close());
	const balancer = createBalancer();
	onTestFinished(() => balancer.close());
	const owner = await addOrganization(server);
	const receiver = await receiving();
	receiver.respondWith({ status: 200, delayMs: 30 });
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	const former = [await replicas.add("all"), await replicas.add("all")];
	for (const { url } of former) balancer.add(url);
	await until(() => balancer.ready() === 2);

	const published: string[] = [];
	const trouble: string[] = [];
	let isOver = false;
	const publishing = Array.from({ length: publishers }, async (_, publisher) => {
		const path = `/v1/organizations/${owner.organizationId}/events`;
		for (let count = 0; !isOver; count += 1) {
			const event = { type: "a", data: `${publisher}:${count}` };
			try {
				const { status, text } = await balancer.post(path, owner.key, event);
				if (status === 202) published.push(event.data);
				else trouble.push(`${status} ${text}`);
			} catch (error) {
				trouble.push(String(error));
			}
		}
	});
	await until(() => published.length > 100);
	for (const replica of former) {
		replica.signal("SIGTERM");
		expect(await replica.exited).toEqual({ code: 0, signal: null });
		const { url } = await replicas.add("all");
		balancer.add(url);
		await until(() => balancer.ready() === 2);
		const soFar = published.length;
		await until(() => published.length > soFar + 100);
	}
	isOver = true;
	await Promise.all(publishing);

	expect(trouble).toEqual([]);
	await receiver.waitFor(published.length);
	const pending = "select 1 from deliveries where state <> 'delivered' or attempts <> 1";
	await until(async () => (await server.sql(pending)).length === 0);
	const received = receiver.requests.map(({ body }) => JSON.parse(body.toString()).data);
	expect(received.toSorted()).toEqual(published.toSorted());
	expect(await server.sql("select 1 from delivery_attempts")).toHaveLength(published.length);
	expect(endpoint.wire.is_active).toBe(true);
});
