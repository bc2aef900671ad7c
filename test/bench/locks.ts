import type { BenchServer } from "./site.ts";

/** Samples what the server's connections wait for, from now until it is stopped. */
export function measureLocks(server: BenchServer): { stop(): Promise<string> } {
	const seen = new Map<string, number>();
	let isOver = false;
	const sampling = (async () => {
		while (!isOver) {
			// A case that has failed closes its server under us.
			const rows = await server.sql<{ wait: string }>(waitsSql).catch(() => []);
			for (const { wait } of rows) seen.set(wait, (seen.get(wait) ?? 0) + 1);
			await new Promise((resolve) => setTimeout(resolve, 100));
		}
	})();
	return {
		stop: async () => {
			isOver = true;
			await sampling;
			const total = [...seen.values()].reduce((sum, count) => sum + count, 0);
			const shares = [...seen].toSorted((a, b) => b[1] - a[1]).slice(0, 3);
			return (
				shares.map(([wait, count]) => `${wait} ${Math.round((count / total) * 100)} %`).join(", ") || "none"
			);
		},
	};
}

const waitsSql = `
select case when wait_event_type is null then 'running' else wait_event_type || ':' || wait_event end as wait
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and state = 'active'
	and application_name like 'capydb-%'`;
