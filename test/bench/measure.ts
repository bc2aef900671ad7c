import { readdirSync, readFileSync } from "node:fs";

export function median(values: readonly number[]): number {
	return percentile(values, 50);
}

/** Nearest rank. */
export function percentile(values: readonly number[], percent: number): number {
	const sorted = values.toSorted((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
}

/**
 * CPU milliseconds that a postmaster and its children have used so far, those that have ended included. Null where
 * there is no /proc.
 */
export function postgresCpuMs(postmasterPid: number): number | null {
	try {
		const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
		const own = processes.map(statOf).filter((stat) => stat !== null);
		const ticks = own
			.filter((stat) => stat.pid === postmasterPid || stat.parent === postmasterPid)
			.reduce((sum, stat) => sum + stat.ticks + (stat.pid === postmasterPid ? stat.endedTicks : 0), 0);
		return ticks * tickMs;
	} catch {
		return null;
	}
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const tickMs = 10;

/** The fields of proc(5) `stat` that count: 4 ppid, 14 and 15 own time, 16 and 17 that of ended children. */
function statOf(pid: string): { pid: number; parent: number; ticks: number; endedTicks: number } | null {
	try {
		const text = readFileSync(`/proc/${pid}/stat`, "latin1");
		const fields = text
			.slice(text.lastIndexOf(")") + 2)
			.split(" ")
			.map(Number);
		const at = (number: number) => fields[number - 3] ?? 0;
		return { pid: Number(pid), parent: at(4), ticks: at(14) + at(15), endedTicks: at(16) + at(17) };
	} catch {
		return null;
	}
}
