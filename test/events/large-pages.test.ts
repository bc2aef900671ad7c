import { expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { addEndpoint, addOrganization, type Body, getBody, publish } from "../deliveries/webhook-server.ts";
import { startTestServer } from "../support/server.ts";

const kib = 1024;
const pageBytesMax = 8 * kib * kib;

it("pages of events and of deliveries end at 8 MiB of payload, and none is skipped or repeated", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const owner = await addOrganization(server);
	const { path } = await addEndpoint(server, owner, { url: "http://127.0.0.1:9999/" });
	const batch = Array.from({ length: 19 }, () => ({ type: "large", data: "x".repeat(250 * kib) }));
	const made: string[] = [];
	for (let round = 0; round < 4; round += 1) {
		const { events } = await publish(server, owner, { events: batch });
		made.push(...events.map(({ id }: Body) => id));
	}
	// Made longer than anything that can be published: it has a page of its own.
	const { event } = await publish(server, owner, { type: "larger", data: 1 });
	made.push(event.id);
	await server.sql("update events set payload = to_json(repeat('y', $1))::text where id = $2", [
		9 * kib * kib,
		toUuid(event.id),
	]);
	const lists = [
		{ list: `/v1/organizations/${owner.organizationId}/events`, name: "events", idOf: ({ id }: Body) => id },
		{ list: `${path}/deliveries`, name: "deliveries", idOf: ({ event_id: id }: Body) => id },
	];
	for (const { list, name, idOf } of lists) {
		const pages: Body[][] = [];
		let cursor: string | null = null;
		do {
			const query: string = cursor === null ? "" : `&cursor=${cursor}`;
			const page = await getBody(server, owner, `${list}?limit=250${query}`);
			pages.push(page[name]);
			cursor = page.next_cursor;
		} while (cursor !== null);
		expect(pages.flat().map(idOf).toSorted()).toEqual(made.toSorted());
		expect(pages.map((rows) => rows.length)).toEqual([1, 32, 32, 12]);
		for (const rows of pages.slice(1)) {
			const bytes = rows.map(({ payload }) => JSON.stringify(payload).length);
			expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(pageBytesMax);
		}
		const few = await getBody(server, owner, `${list}?limit=2`);
		expect(few[name]).toHaveLength(1);
	}
});
