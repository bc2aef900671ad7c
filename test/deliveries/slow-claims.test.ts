import { expect, it } from "vitest";
import { createMemoryLog } from "../support/memory-log.ts";
import { startTestServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { addEndpoint, addOrganization, listDeliveries, publish, receiving } from "./webhook-server.ts";

/** Each claim that takes anything needs this long; one that finds nothing, and a release, are as quick as ever. */
const slowClaims = `
create function be_slow() returns trigger language plpgsql as $$
begin
	if current_setting('capydb_test.is_slow', true) is distinct from 'yes' then
		perform set_config('capydb_test.is_slow', 'yes', true);
		perform pg_sleep(0.7);
	end if;
	return new;
end $$;
create trigger be_slow before update on deliveries for each row
	when (old.claim_id is null and new.claim_id is not null) execute function be_slow()`;

it("everything is sent, once, where every claim takes longer than what was claimed may wait for its turn", async () => {
	const memory = createMemoryLog();
	const server = await startTestServer({ log: memory.log });
	const owner = await addOrganization(server);
	const receiver = await receiving();
	const endpoint = await addEndpoint(server, owner, { url: receiver.url });
	await server.sql(slowClaims);
	const events = Array.from({ length: 30 }, (_, data) => ({ type: "a", data }));
	await publish(server, owner, { events });
	const isDone = async () => {
		const deliveries = await listDeliveries(server, owner, endpoint, "?limit=100");
		return deliveries.every(({ state }) => state === "delivered") && deliveries;
	};
	const deliveries = await until(isDone, { timeoutMs: 30_000 });
	expect(deliveries.map(({ attempts }) => attempts)).toEqual(events.map(() => 1));
	const sent = receiver.requests.map(({ body }) => JSON.parse(body.toString()).data);
	expect(sent.toSorted((a, b) => a - b)).toEqual(events.map(({ data }) => data));
	expect(memory.lines).toContainEqual(expect.stringMatching(/^claiming due deliveries is slow /));
});
