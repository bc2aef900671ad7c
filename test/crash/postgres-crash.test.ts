import { expect, it, onTestFinished } from "vitest";
import { until } from "../support/until.ts";
import { readiness, takenMore } from "./behind-proxy.ts";
import { startLoad } from "./load.ts";
import { reckon } from "./reckoning.ts";
import { openGround, openSite } from "./site.ts";

it("a Postgres that is stopped at once under load, twice, is waited for, and what was acknowledged is all there", async () => {
	const ground = await openGround({ fsync: "off" });
	onTestFinished(() => ground.close());
	const site = await openSite(ground);
	onTestFinished(() => site.close());
	const load = await startLoad(site, 51);
	for (let crashes = 0; crashes < 2; crashes += 1) {
		await takenMore(load, 50);
		await ground.crash(() => until(async () => (await readiness(site)).every((status) => status === 503)));
	}
	await takenMore(load, 50);
	await load.stop();
	expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [] });
	for (const replica of site.replicas) expect(await replica.stop()).toEqual({ code: 0, signal: null });
});
