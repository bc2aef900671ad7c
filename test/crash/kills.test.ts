import { expect, it, onTestFinished } from "vitest";
import { faultsOf, runRound } from "./round.ts";
import { openGround } from "./site.ts";

// The short form of `npm run crash`.
it("nothing acknowledged is lost and nothing is stuck while replicas are killed under load of every kind", async () => {
	// The data is thrown away: nothing needs to survive a power cut.
	const ground = await openGround({ fsync: "off", full_page_writes: "off" });
	onTestFinished(() => ground.close());
	const round = await runRound(ground, { seed: 1, seconds: 9 });
	expect(faultsOf(round)).toEqual([]);
	expect(round.kills).toBeGreaterThan(1);
	expect(Math.min(round.events, round.webhooks, round.connections)).toBeGreaterThan(0);
});
