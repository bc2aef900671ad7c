import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EndpointId, toUuid } from "../../src/core/ids.ts";
import type { ResolvedAddress } from "../../src/platform/host-resolver.ts";
import {
	FORBIDDEN_ADDRESSES,
	FORBIDDEN_NAMES,
	FORBIDDEN_SPELLINGS,
	METADATA_ADDRESSES,
	PUBLIC_ADDRESSES,
} from "../fixtures/addresses.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	createEndpoint,
	listAttempts,
	newestDelivery,
	type Owner,
	publish,
	receiving,
} from "./webhook-server.ts";

const literal = (address: string) => (address.includes(":") ? `[${address}]` : address);
/** Every spelling and range, each once; a URL cannot hold an address with a zone. */
const FORBIDDEN_HOSTS: [host: string, read: string][] = [
	...new Map([
		...FORBIDDEN_NAMES,
		...FORBIDDEN_SPELLINGS,
		...[...FORBIDDEN_ADDRESSES, ...METADATA_ADDRESSES]
			.filter((address) => !address.includes("%"))
			.map((address): [string, string] => [
				literal(address),
				new URL(`https://${literal(address)}`).hostname,
			]),
	]),
];

/** What DNS says of each name; of any other it knows nothing. */
const zone = new Map<string, string[]>();
async function resolver(name: string): Promise<ResolvedAddress[]> {
	const addresses = zone.get(name);
	if (!addresses) throw new Error("no such name");
	return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
}

let server: TestServer;
let owner: Owner;

beforeAll(async () => {
	const env = { WEBHOOK_ALLOW_PRIVATE_NETWORKS: "", WEBHOOK_RETRY_SCHEDULE: "0" };
	server = await startTestServer({ keep: true, resolver, env });
	owner = await addOrganization(server);
});
afterAll(() => server.close());

/** Puts a URL in place as if the address behind it had changed since it was saved. */
async function becomes(endpoint: { id: EndpointId }, url: string): Promise<void> {
	await server.sql("update webhook_endpoints set url = $1 where id = $2", [url, toUuid(endpoint.id)]);
}

const ended = ({ state }: Body) => state !== "pending";

async function blockedDelivery(endpoint: AddedEndpoint, type: string): Promise<Body> {
	return newestDelivery(server, owner, endpoint, (each) => each.event_type === type && ended(each));
}

describe("an address that is not public, in any spelling", () => {
	it("is in a table of more than sixty", () => {
		expect(FORBIDDEN_HOSTS.length).toBeGreaterThan(100);
	});

	it("is refused on create, with the host in the sentence", async () => {
		for (const [host, read] of FORBIDDEN_HOSTS) {
			const answer = await createEndpoint(server, owner, { url: `https://${host}/hook` });
			expect([host, answer.status, answer.body.code]).toEqual([host, 400, "url.host_not_allowed"]);
			expect(answer.body.error).toBe(`host is not allowed: ${read}`);
		}
	});

	it("is refused on update, which changes nothing", async () => {
		const endpoint = await addEndpoint(server, owner, { url: "https://8.8.8.8/hook", event_types: ["none"] });
		for (const [host] of FORBIDDEN_HOSTS) {
			const body = { url: `https://${host}/hook`, description: "changed" };
			const answer = await server.call("PATCH", endpoint.path, { key: owner.key, body });
			expect([host, answer.status, answer.body.code]).toEqual([host, 400, "url.host_not_allowed"]);
		}
		const { body } = await server.call("GET", endpoint.path, { key: owner.key });
		expect(body.webhook_endpoint).toMatchObject({ url: "https://8.8.8.8/hook", description: null });
	});

	it("is refused on send and on test, when it was saved before it was forbidden", async () => {
		const listening = await receiving();
		const endpoints: AddedEndpoint[] = [];
		for (const [host] of FORBIDDEN_HOSTS) {
			const url = "https://8.8.8.8/hook";
			const endpoint = await addEndpoint(server, owner, { url, event_types: ["sent"] });
			await becomes(endpoint, `https://${host}:${listening.port}/hook`);
			endpoints.push(endpoint);
		}
		await publish(server, owner, { type: "sent", data: 1 });
		for (const { path } of endpoints) await server.call("POST", `${path}/test`, { key: owner.key });
		const blocked = await until(async () => {
			const rows = await server.sql<Record<"type" | "outcome" | "url", string>>(
				`select event_type as type, state || ' ' || error_code as outcome, url
					from deliveries d join webhook_endpoints w on w.id = d.endpoint_id
					where event_type in ('sent', 'webhook.test') and state <> 'pending'`,
			);
			return rows.length === 2 * endpoints.length && rows;
		});
		expect(blocked.filter(({ outcome }) => outcome !== "failed blocked_address")).toEqual([]);
		expect(new Set(blocked.map(({ type, url }) => `${type} ${url}`)).size).toBe(2 * endpoints.length);
		expect(listening.connections).toBe(0);
	});

	it("ends where the public ones begin: just outside of every range is accepted", async () => {
		for (const address of PUBLIC_ADDRESSES) {
			const body = { url: `https://${literal(address)}/hook`, event_types: ["none"] };
			const answer = await createEndpoint(server, owner, body);
			expect([address, answer.status]).toEqual([address, 201]);
		}
	});
});

describe("a name whose address changes between save and send (DNS rebinding)", () => {
	it.each([
		["to a forbidden address", ["127.0.0.1"]],
		["to a forbidden address beside a public one", ["8.8.8.8", "127.0.0.1"]],
		["to cloud metadata", ["169.254.169.254"]],
		["to a forbidden address inside an IPv6 one", ["::ffff:127.0.0.1"]],
	])("%s is not connected to", async (_case, addresses) => {
		const listening = await receiving();
		zone.set("rebinding.example", ["8.8.8.8"]);
		const url = `https://rebinding.example:${listening.port}/`;
		const endpoint = await addEndpoint(server, owner, { url, event_types: ["rebound"] });
		zone.set("rebinding.example", addresses);
		await publish(server, owner, { type: "rebound", data: 1 });
		expect(await blockedDelivery(endpoint, "rebound")).toMatchObject({ error_code: "blocked_address" });
		await server.call("POST", `${endpoint.path}/test`, { key: owner.key });
		expect(await blockedDelivery(endpoint, "webhook.test")).toMatchObject({ error_code: "blocked_address" });
		expect(listening.connections).toBe(0);
		await server.call("DELETE", endpoint.path, { key: owner.key });
	});
});

describe("the answers about a forbidden address", () => {
	it("are the same whether something listens there or not, and name no address", async () => {
		const [open, closed] = [await receiving(), await receiving()];
		await closed.close();
		zone.set("inside.example", ["127.0.0.1"]);
		const told = await Promise.all(
			[open.port, closed.port].map(async (port) => {
				const refused = await createEndpoint(server, owner, { url: `https://inside.example:${port}/` });
				const endpoint = await addEndpoint(server, owner, { url: "https://8.8.8.8/", event_types: ["scan"] });
				await becomes(endpoint, `https://inside.example:${port}/`);
				await publish(server, owner, { type: "scan", data: 1 });
				const delivery = await blockedDelivery(endpoint, "scan");
				const [attempt] = await listAttempts(server, owner, endpoint, delivery.id);
				return {
					save: [refused.status, refused.body.code, refused.body.error],
					delivery: [delivery.error_code, delivery.last_error, delivery.response_status],
					attempt: [attempt.error_code, attempt.error, attempt.response_headers, attempt.response_body],
				};
			}),
		);
		expect(told[0]).toEqual(told[1]);
		expect(told[0]).toEqual({
			save: [400, "url.host_not_allowed", "host is not allowed: inside.example"],
			delivery: ["blocked_address", "The endpoint's host is not allowed.", null],
			attempt: ["blocked_address", "The endpoint's host is not allowed.", null, null],
		});
		expect(open.connections).toBe(0);
	});

	it("show nothing of what a private address says to one of several organizations", async () => {
		const shared = await startTestServer({ env: { WEBHOOK_ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8" } });
		const tenants = [await addOrganization(shared), await addOrganization(shared)];
		const inside = await receiving();
		inside.respondWith({ status: 200, headers: { Server: "inside/1.0" }, body: "inside" });
		for (const tenant of tenants) {
			const endpoint = await addEndpoint(shared, tenant, { url: inside.url });
			await publish(shared, tenant, { type: "a", data: 1 });
			const delivery = await newestDelivery(shared, tenant, endpoint, ended);
			const attempts = await listAttempts(shared, tenant, endpoint, delivery.id);
			expect(attempts).toMatchObject([{ response_status: 200, response_headers: null, response_body: null }]);
			expect(JSON.stringify(attempts)).not.toContain("inside");
		}
	});
});
