import { uuidFloor } from "../core/ids.ts";

/** The tables that grow without bound, each partitioned by its UUIDv7 id. */
const partitionedTables = ["events", "deliveries", "delivery_attempts", "inbound_webhooks"] as const;

export type Partition = {
	name: string;
	/** Null when it was taken out of its table already. */
	parent: string | null;
	/** Whether taking it out was begun and cut off. */
	isCutOff: boolean;
	isCitus: boolean;
};

/** Runs one statement. */
type Run = (statement: string) => Promise<Record<string, unknown>[]>;

const weekMs = 7 * 24 * 3600 * 1000;
// 1970-01-05 was a Monday: weeks counted from it begin on Mondays.
const mondayMs = 4 * 24 * 3600 * 1000;
const weeksAhead = 8;
const lockKey = 7_266_003;

/**
 * Makes the weekly partitions from last week to eight weeks ahead that are not there yet; not last week's where nothing
 * of it is to be kept.
 */
export async function ensurePartitions(run: Run, keepFrom = new Date(0)): Promise<void> {
	const rows = await run("select relname as name from pg_class where relispartition and relkind = 'r'");
	const existing = new Set(rows.map((row) => row.name));
	const thisWeek = weekNumber(Date.now());
	const firstWeek = weekNumber(keepFrom.getTime()) < thisWeek ? thisWeek - 1 : thisWeek;
	for (const table of partitionedTables) {
		for (let week = firstWeek; week <= thisWeek + weeksAhead; week++) {
			const partition = partitionOf(table, week * weekMs + mondayMs);
			if (!existing.has(partition.name)) await run(partition.statement);
		}
	}
}

/** How long the partitions that are there will do: from now to the end of the last, of the table where that is least. */
export async function readPartitionsAheadMs(run: Run): Promise<number> {
	const rows = await run(`select p.relname as parent, max(c.relname) as name
		from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
		where ${isPartition} and p.relname in ('${partitionedTables.join("', '")}') group by 1`);
	const ends = partitionedTables.map((table) => {
		const last = rows.find(({ parent }) => parent === table);
		return last === undefined ? 0 : weekOf(String(last.name)).getTime() + weekMs;
	});
	return Math.min(...ends) - Date.now();
}

/** The partitions that hold nothing of `keepFrom` or later, the oldest first. */
export async function listExpiredPartitions(run: Run, keepFrom: Date): Promise<Partition[]> {
	const rows = await run(`select c.relname as name, p.relname as parent,
			coalesce(i.inhdetachpending, false) as is_cut_off, to_regclass('pg_dist_partition') is not null as is_citus
		from pg_class c left join pg_inherits i on i.inhrelid = c.oid left join pg_class p on p.oid = i.inhparent
		where ${isPartition} order by c.relname`);
	return rows
		.map(({ name, parent, is_cut_off: isCutOff, is_citus: isCitus }) => {
			return { name, parent, isCutOff, isCitus } as Partition;
		})
		.filter(({ name }) => weekOf(name).getTime() + weekMs <= keepFrom.getTime());
}

/**
 * Takes a partition out of its table, without a lock that readers or writers of the table would wait for, and drops it.
 * A run that was cut off is made up for. The statements must not run inside a transaction.
 */
export async function dropPartition(run: Run, { name, parent, isCutOff, isCitus }: Partition): Promise<void> {
	// Citus refuses to detach concurrently: there it is dropped where it is.
	if (parent !== null && !isCitus) {
		const how = isCutOff ? "finalize" : "concurrently";
		await run(`alter table "${parent}" detach partition "${name}" ${how}`);
	}
	await run(`drop table "${name}"`);
}

const isPartition = `c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
	and c.relname ~ '^(${partitionedTables.join("|")})_[0-9]{8}$'`;

function weekNumber(ms: number): number {
	return Math.floor((ms - mondayMs) / weekMs);
}

function weekOf(name: string): Date {
	const [, year, month, day] = /_(\d{4})(\d{2})(\d{2})$/.exec(name) ?? [];
	return new Date(`${year}-${month}-${day}T00:00:00Z`);
}

/**
 * `create table … partition of` would wait for every reader of the table, such as a pg_dump of hours, and every writer
 * would wait behind it: attaching waits for neither. One at a time: replicas start together.
 */
function partitionOf(table: string, fromMs: number): { name: string; statement: string } {
	const name = `${table}_${new Date(fromMs).toISOString().slice(0, 10).replaceAll("-", "")}`;
	// Room in each page for every row's claim: an update that stays on its page touches no index.
	const storage = table === "deliveries" ? "with (fillfactor = 45)" : "";
	const statement = `do $$ begin
		perform pg_advisory_xact_lock(${lockKey});
		create table if not exists "${name}" (like "${table}" including all excluding indexes) ${storage};
		if not (select relispartition from pg_class where oid = '"${name}"'::regclass) then
			alter table "${table}" attach partition "${name}"
				for values from ('${uuidFloor(new Date(fromMs))}') to ('${uuidFloor(new Date(fromMs + weekMs))}');
		end if;
	end $$`;
	return { name, statement };
}
