import { expect, it } from "vitest";
import { startTestServer } from "../support/server.ts";

it("publishes that come at the same time are written in few commits, each with its own event", async () => {
	const { server, publish, types } = await startPublisher();
	// A commit takes a while, as on a busy disk: the others come meanwhile.
	await server.sql(`create function be_slow() returns trigger language plpgsql as
		$$ begin perform pg_sleep(0.5); return null; end $$`);
	await server.sql(
		"create trigger slow after insert on events for each statement execute function be_slow()",
	);
	const answers = await Promise.all(types.map(publish));
	expect(answers.map(({ status }) => status)).toEqual(types.map(() => 202));
	expect(answers.map(({ body }) => [body.event.type, body.event.payload.data.of])).toEqual(
		types.map((type) => [type, type]),
	);
	const [commits] = await server.sql<{ count: number }>(
		"select count(distinct xmin::text)::int as count from events where type like 'kind.%'",
	);
	expect(commits?.count).toBeLessThan(types.length / 2);
});

it("a publish that is refused fails alone, not those that were written together with it", async () => {
	const { server, publish, types } = await startPublisher();
	await server.sql(`create function refuse_poison() returns trigger language plpgsql as
		$$ begin if new.type = 'kind.7' then raise exception 'refused'; end if; return new; end $$`);
	await server.sql(
		"create trigger refuse before insert on events for each row execute function refuse_poison()",
	);
	const answers = await Promise.all(types.map(publish));
	expect(answers.map(({ status }) => status)).toEqual(types.map((type) => (type === "kind.7" ? 500 : 202)));
});

async function startPublisher() {
	const server = await startTestServer();
	const { organizationId, key } = await server.tenant();
	const path = `/v1/organizations/${organizationId}/events`;
	const publish = (type: string) => server.call("POST", path, { key, body: { type, data: { of: type } } });
	return { server, publish, types: Array.from({ length: 60 }, (_, at) => `kind.${at}`) };
}
