import { until } from "../support/until.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import { percentile } from "./measure.ts";
import { addPending, addTenant, endpointUrls, settleDown, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { measureUsage, sharesOf } from "./usage.ts";

const perSecond = 20;

/** A quiet tenant's p95, from commit to first byte: alone, beside a flood, beside an endpoint that hangs. */
export const fair: Case = async (input) => {
	const { site, isQuick } = input;
	const server = await site.openServer("fair");
	const quiet = await addTenant(server, [site.urlOf("timed-quiet/0")], "quiet");
	const seconds = isQuick ? 4 : 8;
	await quietP95(input, server, quiet, 2);
	const alone = await quietP95(input, server, quiet, seconds);

	const hanging = await addTenant(server, endpointUrls(site, "hang", 1), "hanging");
	await addPending(server, hanging, { deliveries: 1_000 });
	await server.child.call("wake", hanging.endpointIds);
	await until(async () => (await site.receiver.call("inFlight", "hang")) > 0, { timeoutMs: 30_000 });
	const besideHanging = await quietP95(input, server, quiet, seconds);
	await server.sql("update webhook_endpoints set is_active = false where url like '%/hang/%'");

	const flood = await addTenant(server, endpointUrls(site, "count", 1), "flood");
	await server.sql("update webhook_endpoints set is_active = false where url like '%/count/%'");
	const floodSize = isQuick ? 20_000 : 100_000;
	await addPending(server, flood, { deliveries: floodSize });
	await settleDown(server);
	await server.sql("update webhook_endpoints set is_active = true where url like '%/count/%'");
	await server.child.call("wake", flood.endpointIds);
	const usage = await measureUsage(site, server);
	const besideFlood = await quietP95(input, server, quiet, isQuick ? 2 : 4);
	const limit = sharesOf(await usage.stop());
	const left = await server.sql(
		"select 1 from deliveries where endpoint_id in (select id from webhook_endpoints where url like '%/count/%') and state = 'pending' limit 1",
	);
	if (left.length === 0)
		input.say("fair: the flood was over before the measurement was; its figure is of a part of it");
	await server.stop();
	return [
		{ ...rowOf(`a flood of ${floodSize / 1000}k`, besideFlood, alone), limit },
		rowOf("an endpoint that hangs", besideHanging, alone),
	];
};

function rowOf(beside: string, p95: number, alone: number): Row {
	return {
		name: `fair: a quiet tenant's p95 beside ${beside}`,
		measured: `${p95.toFixed(1)} ms; alone ${alone.toFixed(1)} ms`,
		ratio: p95 / alone,
		goal: "≤ 2 × alone + 50 ms",
		isMet: p95 <= 2 * alone + 50,
		limit: "",
	};
}

async function quietP95(
	{ site }: CaseInput,
	server: BenchServer,
	{ organizationId, key }: Tenant,
	seconds: number,
): Promise<number> {
	await site.receiver.call("reset", "timed-quiet");
	const pace = { url: server.url, organizationId, key, perSecond, seconds };
	const { published } = await site.load.call("pace", pace);
	await until(async () => (await site.receiver.call("count", "timed-quiet")) >= published, {
		timeoutMs: 60_000,
	});
	return percentile(await site.receiver.call("latencies", "timed-quiet"), 95);
}
