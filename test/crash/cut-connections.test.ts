import { expect, it } from "vitest";
import { until } from "../support/until.ts";
import { openBehindProxy, readiness, takenMore } from "./behind-proxy.ts";
import { startLoad } from "./load.ts";
import { reckon } from "./reckoning.ts";

it("connections to Postgres that are cut, again and again, lose nothing and keep nothing from going on", async () => {
	const { site, proxy } = await openBehindProxy();
	const load = await startLoad(site, 11);
	for (let cuts = 0; cuts < 5; cuts += 1) {
		await takenMore(load, 20);
		proxy.become("cut");
		await until(async () => (await readiness(site)).every((status) => status === 503), { what: "red" });
		proxy.become("open");
	}
	await takenMore(load, 20);
	await load.stop();
	expect(await reckon(site, load)).toMatchObject({ lost: [], stuck: [] });
	expect(await readiness(site)).toEqual([200, 200]);
});
