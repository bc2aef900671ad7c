import { expect, it } from "vitest";
import { addEndpoint, addOrganization, newestDelivery, receiving } from "../deliveries/webhook-server.ts";
import { connect, newUser, send, settledInbound, startClerkServer } from "../integrations/clerk-server.ts";
import { until } from "../support/until.ts";

const cuts = 12;

it("after an outage of the database every loop goes on by itself: deliveries, their sweep, webhooks, jobs and the queue", async () => {
	const site = await startClerkServer(3);
	const { server, tenant } = site;
	await connect(site);
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	for (let cut = 0; cut < cuts; cut += 1) {
		// Every connection that the server has, the one that listens too.
		const [ended] = await server.sql<{ count: number }>(
			`select count(pg_terminate_backend(pid))::int as count from pg_stat_activity
			where datname = current_database() and application_name like 'capydb-%'`,
		);
		if (cut === 0) expect(ended?.count).toBeGreaterThan(3);
		await new Promise((resolve) => setTimeout(resolve, 250));
	}
	await until(async () => (await server.call("GET", "/readyz", { key: null })).status === 200);
	await until(async () => {
		const answer = await server.call("POST", `/v1/organizations/${owner.organizationId}/events`, {
			key: owner.key,
			body: { type: "a.b", data: 1, idempotency_key: "once" },
		});
		return answer.status === 202;
	});
	await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	expect(receiver.requests).toHaveLength(1);
	await until(async () => (await send(site, "user.created", newUser(), { id: "msg_once" })).status === 200);
	expect(await settledInbound(server, 1)).toMatchObject([{ state: "processed" }]);
	// A job, whose end shows that the queue gives out its tasks.
	const again = await server.tenant("after the outage");
	expect(again.projectId).not.toBe(tenant.projectId);
});
