import { setTimeout as delay } from "node:timers/promises";
import { until } from "../support/until.ts";
import type { Case } from "./case.ts";
import { addPending, addTenant, clear, endpointUrls, release, settleDown } from "./seed.ts";
import { measureUsage, sharesOf } from "./usage.ts";

const answerMs = 200;
const concurrency = 256;
const endpoints = 100;

/** Receivers that take 200 ms: how much of the concurrency is in use, and deliveries a second against it. */
export const slow: Case = async ({ site, isQuick }) => {
	const seconds = isQuick ? 4 : 10;
	const word = `slow-${answerMs}`;
	const server = await site.openServer("slow", { WEBHOOK_CONCURRENCY: String(concurrency) });
	const tenant = await addTenant(server, endpointUrls(site, word, endpoints));
	await clear(server);
	const bestPerSecond = (concurrency / answerMs) * 1000;
	await addPending(server, tenant, { deliveries: bestPerSecond * (seconds + 5) });
	await settleDown(server);
	await release([server], [tenant]);
	await until(async () => (await site.receiver.call("count", word)) > bestPerSecond, { timeoutMs: 30_000 });
	const [before, startedAt] = [await site.receiver.call("count", word), performance.now()];
	const usage = await measureUsage(site, server);
	const inFlight: number[] = [];
	while (performance.now() - startedAt < seconds * 1000) {
		inFlight.push(await site.receiver.call("inFlight", word));
		await delay(25);
	}
	const done = (await site.receiver.call("count", word)) - before;
	const perSecond = (done / (performance.now() - startedAt)) * 1000;
	const limit = sharesOf(await usage.stop());
	await server.stop();
	const mean = inFlight.reduce((sum, each) => sum + each, 0) / inFlight.length;
	const [rate, use] = [perSecond / bestPerSecond, mean / concurrency];
	return [
		{
			name: `slow receivers (${answerMs} ms), deliveries a second`,
			measured: `${Math.round(perSecond)}/s of ${bestPerSecond}/s`,
			ratio: rate,
			goal: "≥ 0.9",
			isMet: rate >= 0.9,
			limit,
		},
		{
			name: "slow receivers, in flight",
			measured: `${Math.round(mean)} of ${concurrency}`,
			ratio: use,
			goal: "≥ 0.9",
			isMet: use >= 0.9,
			limit,
		},
	];
};
