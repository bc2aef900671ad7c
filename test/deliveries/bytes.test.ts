import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ReceivedRequest, Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { replay } from "./replay-server.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	newestDelivery,
	type Owner,
	passTime,
	postEvents,
	receiving,
} from "./webhook-server.ts";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0,5" } });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url, event_types: ["bytes.*"] });
});

const deep = 5_000;

/** JSON that comes out changed when it is parsed and written again, or kept as `jsonb`. */
const awkward: [name: string, data: string][] = [
	["keys in an odd order", '{"z":1,"a":2,"10":3,"9":4}'],
	["duplicate keys", '{"a":1,"b":2,"a":3}'],
	["1e400", '{"big":1e400,"small":-1e-400}'],
	["integers beyond 2^53", "[9007199254740993,-123456789012345678901234567890]"],
	["numbers in other spellings", "[1.0,1.50,-0,-0.0,1E+2,10e-1]"],
	["blanks and line ends", '{ "a" :\r\n\t[ 1 , 2 ] }'],
	["escapes", '"\\u00e9\\/\\u0041\\ud83e\\uddab\\b\\f"'],
	["an escaped NUL and a lone surrogate", '{"nul":"\\u0000","lone":"\\ud800"}'],
	["characters beyond the first plane", '"é\u{1F9AB}\u2028"'],
	["`__proto__` and `constructor`", '{"__proto__":{"a":1},"constructor":{"prototype":1}}'],
	["keys that the envelope has too", '{"data":1,"id":2,"type":3,"\\u0064ata":4}'],
	["deep nesting", `${"[".repeat(deep)}${"]".repeat(deep)}`],
	["an empty string", '""'],
	["null", "null"],
];

async function sentOnce(rawBody: string): Promise<void> {
	const answer = await postEvents(server, owner, rawBody);
	expect([answer.status, answer.body?.error]).toEqual([202, undefined]);
}

function dataOf(request: ReceivedRequest | undefined): string {
	return /"created_at":"[^"]+","data":(.*)\}$/su.exec(String(request?.body))?.[1] ?? "";
}

describe("the bytes of `data` arrive as they were published", () => {
	it.each(awkward)("with %s, on every attempt, after a redelivery and after a replay", async (_, data) => {
		receiver.respondWith(500, 200);
		await sentOnce(`{"type":"bytes.one","data":${data}}`);
		await newestDelivery(server, owner, endpoint, ({ error_code: code }) => code !== null);
		await passTime(server, 7_000, endpoint);
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		await server.call("POST", `${endpoint.path}/deliveries/${id}/redeliver`, { key: owner.key });
		await newestDelivery(server, owner, endpoint, (each) => each.id !== id && each.state === "delivered");
		await replay(server, owner, endpoint, { since: "2020-01-01T00:00:00Z", state: "all" });
		const requests = await receiver.waitFor(4);
		expect(dataOf(requests[0])).toBe(data);
		for (const request of requests) expect(request.body).toEqual(requests[0]?.body);
	});

	it("each in its place in a batch, whatever stands around it", async () => {
		receiver.respondWith(200);
		const events = awkward.map(([, data]) => ` { "data" : ${data} , "type" : "bytes.many" } `);
		await sentOnce(`{ "events" : [${events.join(",")}] }`);
		const requests = await receiver.waitFor(awkward.length);
		const inOrder = requests.toSorted((one, other) => (idOf(one) < idOf(other) ? -1 : 1));
		expect(inOrder.map(dataOf)).toEqual(awkward.map(([, data]) => data));
	});

	it("and are the `payload` in every answer that shows one", async () => {
		receiver.respondWith(200);
		const data = '{"b":1e400,"a":9007199254740993, "b":"\\u0041"}';
		const published = await postEvents(server, owner, `{"type":"bytes.one","data":${data}}`);
		const { id } = await newestDelivery(server, owner, endpoint, ({ state }) => state === "delivered");
		const [request] = await receiver.waitFor(1);
		const eventPath = `/v1/organizations/${owner.organizationId}/events`;
		const get = async (path: string) => (await server.call("GET", path, { key: owner.key })).text;
		const texts = [
			published.text,
			await get(eventPath),
			await get(`${eventPath}/${published.body.event.id}`),
			await get(`${endpoint.path}/deliveries`),
			await get(`${endpoint.path}/deliveries/${id}`),
		];
		for (const text of texts) expect(text).toContain(`"payload":${request?.body}`);
	});
});

function idOf({ headers }: ReceivedRequest): string {
	return headers["webhook-id"] ?? "";
}
