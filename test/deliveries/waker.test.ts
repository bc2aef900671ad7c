import { expect, it, onTestFinished } from "vitest";
import { laneStore } from "../../src/deliveries/engine/lane-store.ts";
import { createWaker } from "../../src/deliveries/engine/waker.ts";
import { openDatabase } from "../../src/platform/db.ts";
import { startTestServer } from "../support/server.ts";
import { silentLog } from "../support/silent-log.ts";
import { until } from "../support/until.ts";
import { addEndpoint, addOrganization } from "./webhook-server.ts";

const pokeGapMs = 200;
const wakes = 60;

it("pokes other replicas at once, then no more often than the gap allows, and after the last lane was marked", async () => {
	const server = await startTestServer({ env: { ROLE: "api" } });
	const { id } = await addEndpoint(server, await addOrganization(server), { url: "http://127.0.0.1:9999/" });
	const database = openDatabase({
		url: server.databaseUrl,
		applicationName: "capydb-test",
		connectionsMax: 1,
		statementTimeoutMs: 30_000,
		log: silentLog,
	});
	onTestFinished(() => database.close());
	const heard: { at: number; wake: number }[] = [];
	let wake = 0;
	const poke = () => void heard.push({ at: performance.now(), wake });
	const waker = createWaker({ lanes: laneStore(database), poke, pokeGapMs, log: silentLog });
	const isMarked = async () =>
		(await server.sql("select 1 from delivery_lanes where due_at is not null")).length === 1;

	const startedAt = performance.now();
	for (wake = 1; wake <= wakes; wake++) {
		await server.sql("update delivery_lanes set due_at = null");
		waker.wake([id]);
		await until(isMarked, { everyMs: 1 });
		if (wake === 1) await until(() => heard.length === 1, { everyMs: 1 });
	}
	const tookMs = performance.now() - startedAt;
	await waker.flush();

	expect(heard.length).toBeLessThanOrEqual(tookMs / pokeGapMs + 2);
	expect(heard.length).toBeLessThan(wakes);
	expect(heard[0]?.wake).toBe(1);
	expect(heard.at(-1)?.wake).toBeGreaterThanOrEqual(wakes);
	const gaps = heard.slice(1).map(({ at }, index) => at - (heard[index]?.at ?? 0));
	// A timer may come up to a millisecond early.
	expect(Math.min(...gaps)).toBeGreaterThan(pokeGapMs - 2);
});
