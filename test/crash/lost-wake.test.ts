import { expect, it } from "vitest";
import type { OrganizationId } from "../../src/core/ids.ts";
import { addEndpoint, addOrganization, newestDelivery, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";

it("an event whose publisher died between its commit and the wake is found by the sweep and sent once", async () => {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	// All that a publisher does, but for the wake after it.
	await server.ctx.stores.publish.publish(
		[{ organizationId: owner.organizationId as OrganizationId, projectId: null, type: "a.b", data: "1" }],
		{ maxAttempts: 8, firstWaitMs: 0, createdAt: server.ctx.clock.now() },
	);
	const delivery = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
	expect(delivery.attempts).toBe(1);
	expect(receiver.requests).toHaveLength(1);
});
