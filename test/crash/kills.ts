import { setTimeout as pause } from "node:timers/promises";
import { fromUuid } from "../../src/core/ids.ts";
import type { Random } from "../hostile/random.ts";
import { until } from "../support/until.ts";
import type { Replica } from "./replica.ts";
import type { Site } from "./site.ts";

export type Kill = {
	victim: string;
	wasReady: boolean;
	/** In milliseconds since 1970. */
	at: number;
	/** Attempts under a lease once the victim and its connections were gone: its own, and those of the others. */
	leased: Lease[];
};

/** An attempt, as `delivery_attempts` will know it. */
export type Lease = { deliveryId: string; number: number };

const everyMs = 2_000;

/** Kills a replica every two seconds, and starts it again at once. While none listens it waits. */
export async function killAtRandom(site: Site, seconds: number, random: Random): Promise<Kill[]> {
	const endsAt = performance.now() + seconds * 1_000;
	const kills: Kill[] = [];
	const starting = new Set<Promise<void>>();
	for (;;) {
		await pause(everyMs);
		if (performance.now() > endsAt) break;
		await until(() => site.replicas.some((replica) => replica.url() !== null), { what: "a replica" });
		const victim = random.pick(site.replicas);
		kills.push(await kill(site, victim));
		const start = victim.start().finally(() => starting.delete(start));
		start.catch(() => undefined);
		starting.add(start);
	}
	await Promise.all(starting);
	return kills;
}

async function kill(site: Pick<Site, "sql">, victim: Replica): Promise<Kill> {
	const wasReady = victim.url() !== null;
	await victim.kill();
	const at = Date.now();
	// What it had asked of Postgres takes effect all the same.
	const open = "select 1 from pg_stat_activity where application_name = $1";
	await until(async () => (await site.sql(open, [victim.name])).length === 0, { everyMs: 5 });
	const leased = (await site.sql<LeaseRow>(leasedSql)).map(toLease);
	return { victim: victim.name, wasReady, at, leased };
}

export const leasedSql =
	"select id, attempts from deliveries where state = 'pending' and lease_until > clock_now()";

export type LeaseRow = { id: string; attempts: number };

export function toLease({ id, attempts }: LeaseRow): Lease {
	return { deliveryId: fromUuid("whd", id), number: attempts };
}
