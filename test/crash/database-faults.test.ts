import { afterAll, beforeAll, expect, it } from "vitest";
import { onConnection } from "../../src/platform/db.ts";
import { until } from "../support/until.ts";
import { takenMore } from "./behind-proxy.ts";
import { type Load, startLoad } from "./load.ts";
import { reckon } from "./reckoning.ts";
import type { Site } from "./site.ts";
import { openTestSite } from "./test-site.ts";

const tables = ["events", "deliveries", "delivery_attempts", "inbound_webhooks"];

let site: Site;

beforeAll(async () => {
	site = await openTestSite();
	// Before any load: under it, locks of these tables could meet those of the server's transactions.
	await setRefusal(null);
	for (const table of tables) {
		await site.sql(`create trigger refuse before insert or update on ${table}
			for each row execute function refuse()`);
	}
});
afterAll(() => site.close());

it("a transaction that somebody leaves open keeps nothing from being delivered while it is", async () => {
	await onConnection({ connectionString: site.databaseUrl }, async (client) => {
		// Its snapshot keeps every row version from now on.
		await client.query("begin isolation level repeatable read; select from deliveries limit 1");
		const load = await startLoad(site, 31);
		await takenMore(load, 1_000);
		await load.stop();
		expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [], duplicated: 0 });
		const { rows } = await client.query("select count(*)::int as seen from deliveries");
		expect(rows).toEqual([{ seen: 0 }]);
	});
});

it.each([
	["a disk that is full", "53100", 32],
	["statements that Postgres gives up for the time they take", "57014", 33],
])(
	"%s: publishers are told to come back, and once that is over nothing is lost",
	async (_what, state, seed) => {
		const load = await startLoad(site, seed);
		await takenMore(load, 50);
		await setRefusal(state);
		const answer = await publish(load);
		expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "2"]);
		expect(await answer.json()).toEqual({
			error: expect.stringMatching(/^The .*\.$/),
			code: "database.unavailable",
			request_id: expect.any(String),
		});
		const before = site.replicas.map(refusedClaims);
		// Long enough for every result under way to be refused, and for a few claims.
		await until(() => site.replicas.every((replica, at) => refusedClaims(replica) > (before[at] ?? 0) + 2));
		await setRefusal(null);
		await takenMore(load, 50);
		await load.stop();
		expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [] });
	},
);

/** What a write to one of the tables ends with; null: it is carried out. */
async function setRefusal(state: string | null): Promise<void> {
	const body = state === null ? "return new" : `raise exception 'No.' using errcode = '${state}'`;
	await site.sql(`create or replace function refuse() returns trigger language plpgsql as
		$$ begin ${body}; end $$`);
}

function publish({ tenant }: Load): Promise<Response> {
	return fetch(`${site.replicas[0].url()}/v1/organizations/${tenant.organizationId}/events`, {
		method: "POST",
		headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
		body: JSON.stringify({ type: "stock.low", data: {} }),
	});
}

function refusedClaims(replica: Site["replicas"][0]): number {
	return replica.output().split("due deliveries could not be claimed").length - 1;
}
