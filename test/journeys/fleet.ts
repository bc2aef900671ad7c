import { onTestFinished } from "vitest";
import { addEndpoint, addOrganization, receiving } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";
import { createBalancer } from "./balancer.ts";
import { createReplicaSet } from "./replica-set.ts";

/** What replicas need to be called and to deliver: a database, a balancer, and an organization with an endpoint. */
export async function openFleet() {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const replicas = createReplicaSet(server);
	onTestFinished(() => replicas.close());
	const balancer = createBalancer();
	onTestFinished(() => balancer.close());
	const owner = await addOrganization(server);
	const receiver = await receiving();
	await addEndpoint(server, owner, { url: receiver.url });
	return { server, replicas, balancer, owner, receiver };
}
