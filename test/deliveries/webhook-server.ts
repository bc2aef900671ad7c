import { onTestFinished } from "vitest";
import { type EndpointId, toUuid } from "../../src/core/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import type { Answer, TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/** An organization with a key of scope `*` and no project. */
export type Owner = { organizationId: string; key: string };

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into by tests of many shapes
export type Body = any;

export type AddedEndpoint = { id: EndpointId; secret: string; path: string; wire: Body };

export async function addOrganization(server: TestServer): Promise<Owner> {
	const { body } = await server.call("POST", "/v1/organizations", { body: { name: "webhooks" } });
	const organizationId = body.organization.id;
	return { organizationId, key: await addKey(server, organizationId, { scopes: ["*"] }) };
}

export async function addKey(
	server: TestServer,
	organizationId: string,
	body: { scopes: string[]; project_id?: string },
): Promise<string> {
	const answer = await server.call("POST", `/v1/organizations/${organizationId}/api-keys`, {
		body: { name: "test", ...body },
	});
	if (answer.status !== 201) throw new Error(`a key was refused: ${answer.text}`);
	return answer.body.plaintext_api_key;
}

export function endpointsPath(owner: Owner): string {
	return `/v1/organizations/${owner.organizationId}/webhook-endpoints`;
}

export function createEndpoint(server: TestServer, owner: Owner, body: Body): Promise<Answer> {
	return server.call("POST", endpointsPath(owner), { key: owner.key, body });
}

export async function addEndpoint(server: TestServer, owner: Owner, body: Body): Promise<AddedEndpoint> {
	const answer = await createEndpoint(server, owner, body);
	if (answer.status !== 201) throw new Error(`an endpoint was refused: ${answer.text}`);
	const { webhook_endpoint: wire, plaintext_secret: secret } = answer.body;
	return { id: wire.id, secret, path: `${endpointsPath(owner)}/${wire.id}`, wire };
}

/** Publishes and returns the answer's body. Throws unless it was taken. */
export async function publish(server: TestServer, owner: Owner, body: Body): Promise<Body> {
	const answer = await postEvents(server, owner, JSON.stringify(body));
	if (answer.status !== 202) throw new Error(`an event was refused: ${answer.text}`);
	return answer.body;
}

export function postEvents(server: TestServer, owner: Owner, rawBody: string): Promise<Answer> {
	const path = `/v1/organizations/${owner.organizationId}/events`;
	return server.call("POST", path, { key: owner.key, rawBody });
}

export async function getBody(server: TestServer, owner: Owner, path: string): Promise<Body> {
	const answer = await server.call("GET", path, { key: owner.key });
	if (answer.status !== 200) throw new Error(`${path} answered ${answer.text}`);
	return answer.body;
}

export async function listDeliveries(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "path">,
	query = "",
): Promise<Body[]> {
	return (await getBody(server, owner, `${endpoint.path}/deliveries${query}`)).deliveries;
}

export async function listAttempts(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "path">,
	deliveryId: string,
): Promise<Body[]> {
	return (await getBody(server, owner, `${endpoint.path}/deliveries/${deliveryId}/attempts`)).attempts;
}

/** Waits until the endpoint's newest delivery holds what is asked of it. */
export function newestDelivery(
	server: TestServer,
	owner: Owner,
	endpoint: Pick<AddedEndpoint, "path">,
	holds: (delivery: Body) => boolean,
): Promise<Body> {
	return until(async () => {
		const [newest] = await listDeliveries(server, owner, endpoint, "?limit=1");
		return newest !== undefined && holds(newest) ? newest : null;
	});
}

/** Moves the clock on, once no attempt is under way whose lease that would end, and lets the engine look. */
export async function passTime(server: TestServer, ms: number, endpoint: { id: EndpointId }): Promise<void> {
	const held = "select 1 from deliveries where endpoint_id = $1 and lease_until is not null limit 1";
	await until(async () => (await server.sql(held, [toUuid(endpoint.id)])).length === 0);
	await passLeases(server, ms, endpoint);
}

/** Moves the clock on, over the leases of attempts under way too. */
export async function passLeases(
	server: TestServer,
	ms: number,
	endpoint: { id: EndpointId },
): Promise<void> {
	await server.advance(ms);
	server.ctx.wakeDeliveries([endpoint.id]);
}

/** A receiver that is closed after the test. */
export async function receiving(options?: Parameters<typeof startReceiver>[0]): Promise<Receiver> {
	const receiver = await startReceiver(options);
	onTestFinished(() => receiver.close());
	return receiver;
}
