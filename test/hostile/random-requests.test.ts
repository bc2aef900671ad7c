import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Api, readApi } from "../api/operations.ts";
import { idleJobs, startWorld, type World } from "../api/world.ts";
import { createMemoryLog } from "../support/memory-log.ts";
import { connectPlatforms } from "./inbound.ts";
import { walk } from "./walk.ts";

// `npm run fuzz` sets these; a failure is run again with `FUZZ_SEED` as it was printed.
const count = Number(process.env.FUZZ_REQUESTS ?? 1_500);
const seed = Number(process.env.FUZZ_SEED ?? 20_261);

const { log, lines, errors } = createMemoryLog();
let world: World;
let api: Api;

beforeAll(async () => {
	const env = { TRUST_PROXY: "true", PG_DUMP: "/nowhere/pg_dump" };
	// No name of a request is asked for outside.
	const resolver = async () => Promise.reject(new Error("no such name"));
	world = await startWorld(env, { log, resolver });
	await connectPlatforms(world);
	api = await readApi(world.server);
});
afterAll(() => world.close());

describe("whatever is sent to any operation", () => {
	it(`is answered as the document says, by nothing of our inside, and shows nobody what is not theirs (${count} requests)`, async () => {
		const { faults, statuses, taken } = await walk(world, api, { seed, count });
		const never = api.operations.filter(({ id }) => !taken.has(id)).map(({ id }) => id);
		console.log(
			`FUZZ_SEED=${seed} FUZZ_REQUESTS=${count}: ${JSON.stringify(statuses)}, never 2xx: ${never.join(", ") || "none"}`,
		);
		expect([`FUZZ_SEED=${seed}`, faults]).toEqual([`FUZZ_SEED=${seed}`, []]);
		// The walk is worth little when all of it is refused at the door.
		expect(never.length).toBeLessThan(api.operations.length * 0.4);
		expect(statuses["400"]).toBeGreaterThan(count / 20);
		await idleJobs(world.server, world.mine.projectId);
		expect(errors).toEqual([]);
		expect(lines.length).toBeGreaterThan(count / 2);
		expect((await world.server.call("GET", "/readyz", { key: null })).status).toBe(200);
	});
});
