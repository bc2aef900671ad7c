import { expect, it } from "vitest";
import { toUuid } from "../../src/core/ids.ts";
import { createResolver } from "../../src/platform/host-resolver.ts";
import { startNameServer } from "../support/name-server.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import {
	type AddedEndpoint,
	addEndpoint,
	addOrganization,
	listDeliveries,
	publish,
	receiving,
} from "./webhook-server.ts";

it("name servers that never answer for thirty names of one tenant hold up no delivery of another", async () => {
	const names = await startNameServer((name) =>
		name.endsWith(".silent.example") ? "silence" : { a: ["127.0.0.1"] },
	);
	const server = await startTestServer({ resolver: createResolver({ servers: [names.address] }) });
	const receiver = await receiving();
	const [slow, good] = [await addOrganization(server), await addOrganization(server)];
	const endpoint = await addEndpoint(server, good, { url: `http://receiver.example:${receiver.port}/` });
	const silent = await Promise.all(
		Array.from({ length: 30 }, (_, at) =>
			addEndpoint(server, slow, { url: `http://n${at}.silent.example/` }),
		),
	);
	const { event } = await publish(server, slow, { type: "a", data: 1 });
	const asking = "select from deliveries where event_id = $1 and lease_until is not null";
	await until(async () => (await server.sql(asking, [toUuid(event.id)])).length === silent.length);
	await publish(server, good, { type: "a", data: 1 });
	await receiver.waitFor(1);
	const [delivery] = await until(async () => {
		const found = await listDeliveries(server, good, endpoint);
		return found[0]?.state === "delivered" && found;
	});
	expect(delivery).toMatchObject({ attempts: 1 });
	const ended = await Promise.all(silent.map((each: AddedEndpoint) => listDeliveries(server, slow, each)));
	expect(ended.flat().filter(({ error_code: code }) => code !== null)).toEqual([]);
});
