import type { Context } from "../context.ts";
import { createBatcher } from "../core/batcher.ts";
import type { OrganizationId } from "../core/ids.ts";
import type { Usage } from "./organization.ts";

export type UsageReport = {
	usage: Usage;
	periodStart: Date;
	/** What was made up to then is counted. */
	countedUntil: Date;
};

export type UsageReader = (organizationId: OrganizationId) => Promise<UsageReport>;

/** What was made before `from` is in `count`. The next step counts so much time, to read not too much at once. */
type Tally = { from: Date; count: number; spanMs: number };
type Tallies = { periodStart: Date; events: Tally; deliveries: Tally };
type Growing = "events" | "deliveries";

/** Ids are made by the clocks of several processes, and written a while later: only what is older is counted for good. */
const settlesMs = 600_000;
const organizationsMax = 1_000;
const usual = { stepRows: 500_000, budgetMs: 3_000 };
/** A month: of most organizations one step counts all. */
const spanUsualMs = 31 * 24 * 3_600_000;
const spanMinMs = 1_000;

/**
 * Returns what counts the present month, which begins on its first day at midnight UTC. What is past is counted once
 * and remembered. Of an organization that has made very much, one call counts a part only, and the next goes on.
 */
export function createUsageReader(
	ctx: Pick<Context, "stores" | "clock">,
	{ stepRows, budgetMs } = usual,
): UsageReader {
	const remembered = new Map<OrganizationId, Tallies>();
	const underWay = new Map<OrganizationId, Promise<UsageReport>>();

	/** False when its time is over before it has come to the present. */
	const advance = async (id: OrganizationId, table: Growing, tally: Tally, deadline: number) => {
		const settled = ctx.clock.now().getTime() - settlesMs;
		while (tally.from.getTime() < settled) {
			if (performance.now() >= deadline) return false;
			const to = new Date(Math.min(tally.from.getTime() + tally.spanMs, settled));
			const countMax = tally.spanMs > spanMinMs ? stepRows : null;
			const count = await ctx.stores.organizations.countMade(table, id, { from: tally.from, to, countMax });
			if (count === null) tally.spanMs = Math.max(spanMinMs, Math.floor(tally.spanMs / 8));
			else Object.assign(tally, { from: to, count: tally.count + count, spanMs: tally.spanMs * 2 });
		}
		return true;
	};

	const read = async (id: OrganizationId): Promise<UsageReport> => {
		const now = ctx.clock.now();
		const periodStart = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1));
		const tallies = recall(remembered, id, periodStart);
		const deadline = performance.now() + budgetMs;
		const isWhole =
			(await advance(id, "events", tallies.events, deadline)) &&
			(await advance(id, "deliveries", tallies.deliveries, deadline));
		const { events, deliveries } = tallies;
		const usage = await ctx.stores.organizations.usage(id, isWhole ? { events, deliveries } : null);
		usage.events += events.count;
		usage.deliveries += deliveries.count;
		return { usage, periodStart, countedUntil: isWhole ? now : earlier(events, deliveries) };
	};

	// Two at a time, so that counting never holds all connections of the API.
	const readInTurn = createBatcher({
		run: (ids: readonly OrganizationId[]) => Promise.all(ids.map(read)),
		itemsMax: 1,
	});
	return (id) => {
		const known = underWay.get(id);
		if (known) return known;
		const reading = readInTurn(id).finally(() => underWay.delete(id));
		underWay.set(id, reading);
		return reading;
	};
}

/** Those of this month, remembered from now on. */
function recall(remembered: Map<OrganizationId, Tallies>, id: OrganizationId, periodStart: Date): Tallies {
	const known = remembered.get(id);
	if (known?.periodStart.getTime() === periodStart.getTime()) return known;
	const none = { from: periodStart, count: 0, spanMs: spanUsualMs };
	const tallies = { periodStart, events: { ...none }, deliveries: { ...none } };
	remembered.delete(id);
	remembered.set(id, tallies);
	const [oldest] = remembered.keys();
	if (remembered.size > organizationsMax && oldest !== undefined) remembered.delete(oldest);
	return tallies;
}

function earlier(events: Tally, deliveries: Tally): Date {
	return new Date(Math.min(events.from.getTime(), deliveries.from.getTime()));
}
