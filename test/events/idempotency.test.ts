import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import {
	addEndpoint,
	addOrganization,
	type Owner,
	postEvents,
	publish,
} from "../deliveries/webhook-server.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
let receiver: Receiver;

beforeAll(async () => {
	server = await startTestServer({ keep: true });
	receiver = await startReceiver();
});
afterAll(async () => {
	await server.close();
	await receiver.close();
});

const hour = 3600_000;
const minute = 60_000;

async function ownerWithEndpoint(path = "/"): Promise<Owner> {
	const owner = await addOrganization(server);
	await addEndpoint(server, owner, { url: `${receiver.url}${path}` });
	return owner;
}

function keyed(key: string, data: unknown = 1) {
	return { type: "once.only", data, idempotency_key: key };
}

async function listEvents(owner: Owner) {
	const path = `/v1/organizations/${owner.organizationId}/events?limit=250`;
	return (await server.call("GET", path, { key: owner.key })).body.events;
}

describe("an idempotency key", () => {
	it("makes one event, one delivery and one answer of fifty publishes at once", async () => {
		const owner = await ownerWithEndpoint("/fifty");
		const sent = JSON.stringify(keyed("k"));
		const answers = await Promise.all(Array.from({ length: 50 }, () => postEvents(server, owner, sent)));
		expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(202));
		expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
		expect(answers[0]?.body.deliveries).toBe(1);
		expect(await listEvents(owner)).toHaveLength(1);
		// What is published next is sent after it: nothing of the fifty comes later.
		await publish(server, owner, { type: "the.next", data: 1 });
		const ours = await receiver.waitFor((requests) =>
			requests.some(({ url, headers }) => url === "/fifty" && headers["x-capydb-event"] === "the.next"),
		);
		const first = ours.filter(
			({ url, headers }) => url === "/fifty" && headers["x-capydb-event"] === "once.only",
		);
		expect(first).toHaveLength(1);
	});

	it("returns the first event, whatever the new body is", async () => {
		const owner = await ownerWithEndpoint();
		const first = await publish(server, owner, keyed("k", { first: true }));
		const again = await publish(server, owner, { ...keyed("k", { second: true }), type: "other.type" });
		expect(again).toEqual(first);
		expect(await listEvents(owner)).toEqual([first.event]);
	});

	it("counts within its organization, and by its exact characters", async () => {
		const [one, other] = [await ownerWithEndpoint(), await ownerWithEndpoint()];
		const ids = [
			(await publish(server, one, keyed("k"))).event.id,
			(await publish(server, other, keyed("k"))).event.id,
			(await publish(server, one, keyed("K"))).event.id,
			(await publish(server, one, keyed("k "))).event.id,
			(await publish(server, one, keyed("ключ-💩"))).event.id,
		];
		expect(new Set(ids).size).toBe(5);
		expect((await publish(server, one, keyed("ключ-💩"))).event.id).toBe(ids[4]);
	});

	it.each(["", "x".repeat(256), 1, ["k"], "a\u0000"])("that is %j is a 400 that names it", async (key) => {
		const owner = await addOrganization(server);
		const sent = JSON.stringify({ type: "x", data: 1, idempotency_key: key });
		const { status, body } = await postEvents(server, owner, sent);
		expect([status, body.error]).toEqual([400, expect.stringContaining("`idempotency_key`")]);
	});

	it("ends after 24 hours, and then stands for the new event", async () => {
		const owner = await ownerWithEndpoint();
		const first = await publish(server, owner, keyed("daily"));
		await server.advance(24 * hour - minute);
		expect((await publish(server, owner, keyed("daily"))).event.id).toBe(first.event.id);
		await server.advance(minute);
		const second = await publish(server, owner, keyed("daily"));
		expect(second.event.id).not.toBe(first.event.id);
		await server.advance(24 * hour - minute);
		expect((await publish(server, owner, keyed("daily"))).event.id).toBe(second.event.id);
		expect(await listEvents(owner)).toHaveLength(2);
	});
});

describe("keys in batches", () => {
	const batchOf = (owner: Owner, events: unknown[]) => postEvents(server, owner, JSON.stringify({ events }));

	it("stand for one event each, used before or twice in one batch", async () => {
		const owner = await ownerWithEndpoint();
		const { event: known } = await publish(server, owner, keyed("known"));
		const { body } = await batchOf(owner, [keyed("new", 1), keyed("known", 2), keyed("new", 3)]);
		const ids = body.events.map((event: { id: string }) => event.id);
		expect(ids).toEqual([ids[0], known.id, ids[0]]);
		expect(body.events[2].payload.data).toBe(1);
		expect(body.deliveries).toBe(2);
		expect(await listEvents(owner)).toHaveLength(2);
	});

	it("never get in each other's way: many batches at once, with the same keys in any order", async () => {
		const owner = await ownerWithEndpoint();
		const keys = Array.from({ length: 20 }, (_, at) => `k${at}`);
		const batches = Array.from({ length: 12 }, (_, at) => [...keys.slice(at), ...keys.slice(0, at)]);
		const answers = await Promise.all(
			batches.map((batch, at) =>
				batchOf(
					owner,
					(at % 2 === 0 ? batch : batch.reverse()).map((key) => keyed(key)),
				),
			),
		);
		expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(202));
		expect(await listEvents(owner)).toHaveLength(20);
		const deliveries = await server.sql("select 1 from deliveries where organization_id = $1", [
			toUuid(owner.organizationId),
		]);
		expect(deliveries).toHaveLength(20);
	});
});
