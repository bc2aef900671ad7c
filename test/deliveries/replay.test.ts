import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Receiver } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { postReplay, replay } from "./replay-server.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	getBody,
	listDeliveries,
	newestDelivery,
	type Owner,
	publish,
	receiving,
} from "./webhook-server.ts";

const since = "2020-01-01T00:00:00Z";

let server: TestServer;
let owner: Owner;
let receiver: Receiver;
let endpoint: AddedEndpoint;

beforeAll(async () => {
	server = await startTestServer({ keep: true, env: { WEBHOOK_RETRY_SCHEDULE: "0" } });
});
afterAll(() => server.close());
beforeEach(async () => {
	owner = await addOrganization(server);
	receiver = await receiving();
	endpoint = await addEndpoint(server, owner, { url: receiver.url, event_types: ["a.*"] });
});

/** Publishes an event, answered with the status, and waits until its delivery is over. */
async function sent(type: string, status: number): Promise<Body> {
	receiver.respondWith(status);
	const { event } = await publish(server, owner, { type, data: 1 });
	await newestDelivery(server, owner, endpoint, (each) => each.event_id === event.id && isOver(each));
	return event;
}

async function redelivered(event: Body, status: number): Promise<void> {
	receiver.respondWith(status);
	const { deliveries } = await getBody(server, owner, `${eventsPath()}/${event.id}`);
	const path = `${endpoint.path}/deliveries/${deliveries[0].id}/redeliver`;
	const { body } = await server.call("POST", path, { key: owner.key });
	await newestDelivery(server, owner, endpoint, (each) => each.id === body.delivery.id && isOver(each));
}

const isOver = (delivery: Body) => delivery.state !== "pending";
const eventsPath = () => `/v1/organizations/${owner.organizationId}/events`;
const setActive = (isActive: boolean) =>
	server.call("PATCH", endpoint.path, { key: owner.key, body: { is_active: isActive } });

/** The events that a replay sent, in the order of publishing. */
async function replayed(body: Body, to = endpoint): Promise<string[]> {
	receiver.respondWith(200);
	const before = new Set((await listDeliveries(server, owner, to, "?limit=250")).map(({ id }) => id));
	const { answer, job } = await replay(server, owner, to, body);
	expect(job).toMatchObject({ type: "webhook.replay", state: "completed", error: null });
	const all = await listDeliveries(server, owner, to, "?limit=250");
	const made = all.filter(({ id }) => !before.has(id));
	expect(answer).toMatchObject({ matched: made.length, matched_capped: false });
	await until(async () => {
		const now = await listDeliveries(server, owner, to, "?limit=250");
		return now.every(isOver);
	});
	return made.map(({ event_id: id }) => id).toSorted();
}

describe("replaying", () => {
	it("sends events whose delivery failed once more, with the same bytes and all attempts", async () => {
		const lost = await sent("a.lost", 500);
		await sent("a.arrived", 200);
		expect(await replayed({ since })).toEqual([lost.id]);
		const [newest] = await listDeliveries(server, owner, endpoint);
		expect(newest).toMatchObject({ event_id: lost.id, state: "delivered", attempts: 1, max_attempts: 1 });
		const [first, , again] = receiver.requests;
		expect(again?.body).toEqual(first?.body);
		expect(again?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
		expect(again?.headers["x-capydb-delivery"]).toBe(newest.id);
	});

	it("answers 202 with the job, which tells how many it queued and belongs to the organization", async () => {
		await sent("a.lost", 500);
		const { answer, job } = await replay(server, owner, endpoint, { since });
		expect(answer.job).toMatchObject({
			type: "webhook.replay",
			organization_id: owner.organizationId,
			project_id: null,
			locked_resource: `webhook_endpoint:${endpoint.id}`,
		});
		expect(job.last_stdout).toBe("queued 1 deliveries");
	});

	it("makes one delivery for each distinct event, however often it was redelivered", async () => {
		const lost = await sent("a.lost", 500);
		await redelivered(lost, 500);
		await redelivered(lost, 500);
		expect(await replayed({ since })).toEqual([lost.id]);
	});

	it("goes by the newest delivery: what arrived later is not replayed, what failed later is", async () => {
		const arrivedLater = await sent("a.first", 500);
		await redelivered(arrivedLater, 200);
		const failedLater = await sent("a.second", 200);
		await redelivered(failedLater, 500);
		expect(await replayed({ since })).toEqual([failedLater.id]);
	});

	it("with state `all` sends those that arrived too, but neither pending ones nor `webhook.test`", async () => {
		const one = await sent("a.one", 200);
		const two = await sent("a.two", 500);
		await server.call("POST", `${endpoint.path}/test`, { key: owner.key });
		await newestDelivery(
			server,
			owner,
			endpoint,
			(each) => each.event_type === "webhook.test" && isOver(each),
		);
		receiver.respondWith("hang");
		const { event: waiting } = await publish(server, owner, { type: "a.waiting", data: 1 });
		await receiver.waitFor((all) => all.at(-1)?.headers["x-capydb-event"] === "a.waiting");
		const { answer } = await replay(server, owner, endpoint, { since, state: "all" });
		expect(answer.matched).toBe(2);
		const made = (await listDeliveries(server, owner, endpoint)).slice(0, 2);
		expect(made.map(({ event_id: id }) => id).toSorted()).toEqual([one.id, two.id]);
		const { deliveries } = await getBody(server, owner, `${eventsPath()}/${waiting.id}`);
		expect(deliveries).toHaveLength(1);
	});

	it("with `include_unsent` sends what matches now and never went to this endpoint", async () => {
		await setActive(false);
		const { event: missed } = await publish(server, owner, { type: "a.missed", data: 1 });
		const { event: nested } = await publish(server, owner, { type: "a.missed.deep", data: 1 });
		await publish(server, owner, { type: "a", data: "the filter wants a segment more" });
		await publish(server, owner, { type: "b.other", data: 1 });
		await setActive(true);
		const lost = await sent("a.lost", 500);
		const arrived = await sent("a.arrived", 200);
		expect(await replayed({ since, event_id: missed.id })).toEqual([]);
		expect(await replayed({ since, include_unsent: true })).toEqual([missed.id, nested.id, lost.id]);
		expect(await replayed({ since, include_unsent: true, event_id: arrived.id })).toEqual([]);
	});

	it("with `include_unsent` fills an endpoint that was added later, by its filter", async () => {
		const { event: one } = await publish(server, owner, { type: "order.paid", data: 1 });
		const { event: two } = await publish(server, owner, { type: "user.made", data: 1 });
		const both = await addEndpoint(server, owner, { url: receiver.url, event_types: ["order.*", "user.*"] });
		const orders = await addEndpoint(server, owner, { url: receiver.url, event_types: ["order.paid"] });
		expect(await replayed({ since, include_unsent: true }, both)).toEqual([one.id, two.id]);
		expect(await replayed({ since, include_unsent: true }, orders)).toEqual([one.id]);
	});

	it("keeps to one event with `event_id`", async () => {
		const one = await sent("a.one", 200);
		await sent("a.two", 500);
		expect(await replayed({ since, event_id: one.id })).toEqual([]);
		expect(await replayed({ since, event_id: one.id, state: "all" })).toEqual([one.id]);
	});

	it("keeps to the events from `since` until before `until`", async () => {
		const [one, two, three] = [await sent("a.1", 500), await sent("a.2", 500), await sent("a.3", 500)];
		expect(await replayed({ since: two.created_at, until: three.created_at })).toEqual([two.id]);
		expect(await replayed({ since: one.created_at, until: two.created_at })).toEqual([one.id]);
		expect(await replayed({ since: "2019-01-01T00:00:00Z", until: since })).toEqual([]);
	});

	it("leaves out events whose payload was erased", async () => {
		const lost = await sent("a.lost", 500);
		await server.sql("update events set payload = null where type = 'a.lost'");
		expect((await postReplay(server, owner, endpoint, { since, dry_run: true })).body.matched).toBe(0);
		expect(await replayed({ since, event_id: lost.id })).toEqual([]);
	});

	it("with `dry_run` answers 200 with the number alone and queues nothing", async () => {
		await sent("a.lost", 500);
		const { status, body } = await postReplay(server, owner, endpoint, { since, dry_run: true });
		expect([status, body]).toEqual([200, { matched: 1, matched_capped: false }]);
		expect(await listDeliveries(server, owner, endpoint)).toHaveLength(1);
	});

	it("to an inactive endpoint is a 409", async () => {
		await setActive(false);
		for (const dryRun of [true, false]) {
			const { status, body } = await postReplay(server, owner, endpoint, { since, dry_run: dryRun });
			expect([status, body.code]).toEqual([409, "webhook_endpoint.inactive"]);
		}
	});

	it("is a 404 for an endpoint of another tenant", async () => {
		const stranger = await addOrganization(server);
		expect((await postReplay(server, stranger, endpoint, { since })).status).toBe(404);
	});

	it.each<[string, Body]>([
		["since", {}],
		["since", { since: "yesterday" }],
		["since", { since: "2026-01-31T12:00:00" }],
		["until", { since, until: "2026-01-31T12:00:00" }],
		["until", { since, until: "2026-13-01T00:00:00Z" }],
		["until", { since, until: since }],
		["state", { since, state: "pending" }],
		["include_unsent", { since, include_unsent: "yes" }],
		["event_id", { since, event_id: "evt_x" }],
		["limit", { since, limit: 1 }],
	])("refuses a wrong %s with a sentence that names it: %j", async (field, body) => {
		const answer = await postReplay(server, owner, endpoint, body);
		expect(answer.status).toBe(400);
		expect(answer.body.error).toContain(field);
	});

	it("refuses an event of another organization", async () => {
		const stranger = await addOrganization(server);
		const { event } = await publish(server, stranger, { type: "a.b", data: 1 });
		const { status, body } = await postReplay(server, owner, endpoint, { since, event_id: event.id });
		expect([status, body.code]).toEqual([400, "event_id.invalid"]);
	});
});
