import { createRandom } from "../hostile/random.ts";
import { type Kill, killAtRandom } from "./kills.ts";
import { startLoad } from "./load.ts";
import { type Reckoning, reckon } from "./reckoning.ts";
import { type Ground, openSite, type Site } from "./site.ts";

/** What a round did, and what came of it. */
export type Round = Reckoning & {
	seed: number;
	kills: number;
	events: number;
	webhooks: number;
	connections: number;
	/** Calls that had to be repeated. */
	repeated: number;
	/** From each kill to the next request at the receiver, in order of length. */
	resumeMs: number[];
	/** What each replica wrote, over all its lives. */
	outputs: Record<string, string>;
};

/** Load of every kind on two replicas, one of which is killed every two seconds; then everything is counted. */
export async function runRound(ground: Ground, { seed, seconds }: { seed: number; seconds: number }) {
	const site = await openSite(ground);
	try {
		return await play(site, seed, seconds);
	} finally {
		await site.close();
	}
}

async function play(site: Site, seed: number, seconds: number): Promise<Round> {
	const load = await startLoad(site, seed, ["clerk", "vercel"]);
	const kills = await killAtRandom(site, seconds, createRandom(seed));
	await load.stop();
	const { publishing, inbound, connecting } = load;
	return {
		...(await reckon(site, load, kills)),
		seed,
		kills: kills.length,
		events: publishing.taken.size,
		webhooks: inbound.takenIds.size,
		connections: connecting.reduce((sum, each) => sum + each.connections(), 0),
		repeated: site.repeated(),
		resumeMs: resumes(kills, site.listener.arrivals),
		outputs: Object.fromEntries(site.replicas.map((replica) => [replica.name, replica.output()])),
	};
}

function resumes(kills: readonly Kill[], arrivals: readonly number[]): number[] {
	const waits = kills.map(({ at }) => {
		const next = arrivals.find((arrival) => arrival >= at);
		return next === undefined ? Number.POSITIVE_INFINITY : next - at;
	});
	return waits.toSorted((left, right) => left - right);
}

/** What is wrong with a round, a line each; none when all is well. */
export function faultsOf({ lost, stuck, unexplained, duplicated, held }: Round): string[] {
	return [
		...lost.map((each) => `lost: ${each}`),
		...stuck.map((each) => `stuck: ${each}`),
		...unexplained.map((each) => `sent twice, and not held at a kill: ${each}`),
		...(duplicated > held ? [`duplicated ${duplicated}, held at the kills ${held}`] : []),
	];
}
