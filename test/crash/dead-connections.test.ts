import { expect, it } from "vitest";
import { until } from "../support/until.ts";
import { openBehindProxy, readiness, takenMore } from "./behind-proxy.ts";
import { startLoad } from "./load.ts";
import { reckon } from "./reckoning.ts";

it("connections to Postgres that go dead without a word make /readyz red, hold up no stop, and are given up", async () => {
	const { site, proxy } = await openBehindProxy();
	const load = await startLoad(site, 12);
	await takenMore(load, 50);
	proxy.become("swallowing");
	await until(async () => (await readiness(site)).every((status) => status === 503), { what: "red" });
	const taken = load.publishing.taken.size;
	const [stopped] = site.replicas;
	expect(await stopped.stop()).toEqual({ code: 0, signal: null });
	// Those that were open stay as they are.
	proxy.become("open");
	await stopped.start();
	await until(() => load.publishing.taken.size > taken + 50, { what: "events" });
	await load.stop();
	expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [] });
	await until(async () => (await readiness(site)).every((status) => status === 200), { what: "green" });
});
