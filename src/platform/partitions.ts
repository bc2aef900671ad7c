import { uuidFloor } from "../core/ids.ts";

/** The tables that grow without bound, each partitioned by its UUIDv7 id. */
const partitionedTables = ["events", "deliveries", "delivery_attempts", "inbound_webhooks"] as const;

const weekMs = 7 * 24 * 3600 * 1000;
// 1970-01-05 was a Monday: weeks counted from it begin on Mondays.
const mondayMs = 4 * 24 * 3600 * 1000;
const weeksAhead = 8;

/** Makes the weekly partitions from last week to eight weeks ahead that are not there yet. */
export async function ensurePartitions(
	run: (statement: string) => Promise<Record<string, unknown>[]>,
): Promise<void> {
	const rows = await run("select relname as name from pg_class where relispartition and relkind = 'r'");
	const existing = new Set(rows.map((row) => row.name));
	const thisWeek = Math.floor((Date.now() - mondayMs) / weekMs);
	for (const table of partitionedTables) {
		for (let week = thisWeek - 1; week <= thisWeek + weeksAhead; week++) {
			const partition = partitionOf(table, week * weekMs + mondayMs);
			if (!existing.has(partition.name)) await run(partition.statement);
		}
	}
}

/**
 * Drops the partitions that hold nothing of `keepFrom` or later. A partition is taken out of its table before it is
 * dropped, without a lock that readers or writers of the table would wait for; a run that was cut off is made up for.
 * The statements must not run inside a transaction.
 */
export async function dropPartitions(
	run: (statement: string) => Promise<Record<string, unknown>[]>,
	keepFrom: Date,
): Promise<string[]> {
	const rows = await run(`select c.relname as name, p.relname as parent, i.inhdetachpending as is_cut_off,
			to_regclass('pg_dist_partition') is not null as is_citus
		from pg_class c left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
		where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
			and c.relname ~ '^(${partitionedTables.join("|")})_[0-9]{8}$'
		order by c.relname`);
	const old = rows.filter(({ name }) => weekOf(String(name)).getTime() + weekMs <= keepFrom.getTime());
	for (const { name, parent, is_cut_off: isCutOff, is_citus: isCitus } of old) {
		// Citus refuses to detach concurrently: there it is dropped where it is.
		if (parent !== null && !isCitus) {
			const how = isCutOff ? "finalize" : "concurrently";
			await run(`alter table "${parent}" detach partition "${name}" ${how}`);
		}
		await run(`drop table "${name}"`);
	}
	return old.map(({ name }) => String(name));
}

function weekOf(name: string): Date {
	const [, year, month, day] = /_(\d{4})(\d{2})(\d{2})$/.exec(name) ?? [];
	return new Date(`${year}-${month}-${day}T00:00:00Z`);
}

function partitionOf(table: string, fromMs: number): { name: string; statement: string } {
	const name = `${table}_${new Date(fromMs).toISOString().slice(0, 10).replaceAll("-", "")}`;
	// Room in each page for every row's claim: an update that stays on its page touches no index.
	const storage = table === "deliveries" ? "with (fillfactor = 45)" : "";
	const statement = `create table if not exists "${name}" partition of "${table}"
		for values from ('${uuidFloor(new Date(fromMs))}') to ('${uuidFloor(new Date(fromMs + weekMs))}') ${storage}`;
	return { name, statement };
}
