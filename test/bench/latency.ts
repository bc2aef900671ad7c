import { until } from "../support/until.ts";
import type { Case, CaseInput, Row } from "./case.ts";
import { percentile } from "./measure.ts";
import { addTenant, type Tenant } from "./seed.ts";
import type { BenchServer } from "./site.ts";
import { measureUsage, sharesOf } from "./usage.ts";

const rates = [
	{ name: "idle", title: "idle (10 events/s)", perSecond: 10 },
	{ name: "busy", title: "at 500 events/s", perSecond: 500 },
];

/**
 * From an event's `created_at`, which is before its commit, to the first byte at the receiver; beside it a bare POST,
 * from the call to the first byte.
 */
export const latency: Case = async (input) => {
	const { site, isQuick, only } = input;
	const server = await site.openServer("latency");
	const tenant = await addTenant(server, [site.urlOf("timed-ours/0")]);
	const rows: Row[] = [];
	for (const rate of rates.filter(({ name }) => only.length === 0 || only.includes(name))) {
		const seconds = isQuick ? 4 : 10;
		await paced(input, server, tenant, { perSecond: rate.perSecond, seconds: 2 });
		const bare: number[] = [];
		const ours: number[] = [];
		let limit = "";
		for (let round = 0; round < 2; round++) {
			bare.push(...(await pacedBare(input, { perSecond: rate.perSecond, seconds })));
			const usage = await measureUsage(site, server);
			ours.push(...(await paced(input, server, tenant, { perSecond: rate.perSecond, seconds })));
			limit = sharesOf(await usage.stop());
		}
		rows.push(...rowsOf(rate.title, bare, ours).map((row) => ({ ...row, limit })));
	}
	await server.stop();
	return rows;
};

function rowsOf(title: string, bare: number[], ours: number[]): Row[] {
	return [
		{ percent: 50, allowedMs: 10 },
		{ percent: 99, allowedMs: 50 },
	].map(({ percent, allowedMs }) => {
		const [own, other] = [percentile(ours, percent), percentile(bare, percent)];
		return {
			name: `latency ${title}, p${percent}`,
			measured: `${own.toFixed(1)} ms; bare ${other.toFixed(1)} ms`,
			ratio: own / other,
			goal: `≤ bare + ${allowedMs} ms`,
			isMet: own <= other + allowedMs,
			limit: "",
		};
	});
}

type Pace = { perSecond: number; seconds: number };

async function pacedBare({ site }: CaseInput, pace: Pace): Promise<number[]> {
	await site.receiver.call("reset", "timed-bare");
	await site.bare.call("pace", { url: site.urlOf("timed-bare/0"), ...pace });
	return site.receiver.call("latencies", "timed-bare");
}

async function paced(
	{ site }: CaseInput,
	server: BenchServer,
	tenant: Tenant,
	pace: Pace,
): Promise<number[]> {
	await site.receiver.call("reset", "timed-ours");
	const { organizationId, key } = tenant;
	const { published } = await site.load.call("pace", { url: server.url, organizationId, key, ...pace });
	await until(async () => (await site.receiver.call("count", "timed-ours")) >= published, {
		timeoutMs: 60_000,
	});
	return site.receiver.call("latencies", "timed-ours");
}
