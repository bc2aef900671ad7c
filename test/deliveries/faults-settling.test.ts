import { describe, expect, it } from "vitest";
import type { Reply } from "../support/receiver.ts";
import { startTestServer, type TestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	type Body,
	listAttempts,
	listDeliveries,
	type Owner,
	passLeases,
	publish,
	receiving,
} from "./webhook-server.ts";

const deliveriesInAll = 20;
/** The deadline of an attempt and the time to write its result. */
const leaseMs = 30_000;

type Stage = { server: TestServer; owner: Owner; endpoint: AddedEndpoint; requests(): Body[] };

/**
 * Has a batch of results settled of which the database refuses one: twenty requests are held until all are
 * there, answered at once, and the one that carries 7 is answered with what a constraint forbids.
 */
async function settleWithPoison(constraint: string, poison: Reply): Promise<Stage> {
	const server = await startTestServer();
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	await server.sql(`alter table delivery_attempts add constraint poison check (${constraint})`);
	const allThere = Promise.withResolvers<void>();
	receiver.respondWith(async ({ body }) => {
		if (receiver.requests.length >= deliveriesInAll) allThere.resolve();
		await allThere.promise;
		const isFirst = receiver.requests.filter(isPoison).length === 1;
		return isPoison({ body }) && isFirst ? poison : 200;
	});
	const events = Array.from({ length: deliveriesInAll }, (_, at) => ({ type: "a", data: at }));
	await publish(server, owner, { events });
	return { server, owner, endpoint, requests: () => receiver.requests };
}

describe("one result that the database refuses (a poison row in a batch of results)", () => {
	it("keeps none of the others from being settled, each sent once, and loses its response alone", async () => {
		const stage = await settleWithPoison("response_body <> 'poison'", { status: 200, body: "poison" });
		const { server, owner, endpoint } = stage;
		const deliveries = await until(async () => {
			const rows = await listDeliveries(server, owner, endpoint, "?state=delivered");
			return rows.length === deliveriesInAll && rows;
		});
		expect(stage.requests()).toHaveLength(deliveriesInAll);
		const poisoned = deliveries.find(({ payload }) => payload.data === 7);
		expect(await listAttempts(server, owner, endpoint, poisoned.id)).toMatchObject([
			{ number: 1, response_status: 200, response_body: null, response_headers: null },
		]);
	});

	it("that can be written in no way ends with its lease as unknown, and the others are not sent again", async () => {
		const stage = await settleWithPoison("response_status <> 299", 299);
		const { server, owner, endpoint } = stage;
		await until(async () => {
			const rows = await listDeliveries(server, owner, endpoint, "?state=delivered");
			return rows.length === deliveriesInAll - 1;
		});
		const [waiting] = await listDeliveries(server, owner, endpoint, "?state=pending");
		expect(waiting.payload.data).toBe(7);
		await passLeases(server, leaseMs + 1_000, endpoint);
		await until(
			async () =>
				(await listDeliveries(server, owner, endpoint, "?state=delivered")).length === deliveriesInAll,
		);
		expect(stage.requests().filter(isPoison)).toHaveLength(2);
		expect(stage.requests()).toHaveLength(deliveriesInAll + 1);
		expect(await listAttempts(server, owner, endpoint, waiting.id)).toMatchObject([
			{ number: 1, error_code: "unknown", response_status: null },
			{ number: 2, error_code: null, response_status: 200 },
		]);
	});
});

function isPoison({ body }: { body: Buffer }): boolean {
	return JSON.parse(String(body)).data === 7;
}
