import type { Log } from "../../src/core/log.ts";

export type MemoryLog = {
	log: Log & { fatal(): void; trace(): void };
	/** Every line, of every level. */
	lines: string[];
	/** Those that say that something of ours went wrong. */
	errors: string[];
};

/** A log whose lines a test looks into: all fields, and errors with their causes. */
export function createMemoryLog(): MemoryLog {
	const lines: string[] = [];
	const errors: string[] = [];
	const toLine = (fields: Record<string, unknown>, message: string) =>
		`${message} ${JSON.stringify(fields, (_, value) => described(value))}`;
	const writeAs =
		(level: "debug" | "info" | "warn" | "error") => (fields: Record<string, unknown>, message: string) => {
			const line = toLine(fields, message);
			lines.push(line);
			if (level === "error") errors.push(line);
		};
	const log = {
		debug: writeAs("debug"),
		info: writeAs("info"),
		warn: writeAs("warn"),
		error: writeAs("error"),
		fatal: () => undefined,
		trace: () => undefined,
		child: () => log,
	};
	return { log, lines, errors };
}

function described(value: unknown): unknown {
	if (!(value instanceof Error)) return value;
	return { ...value, message: value.message, stack: value.stack, cause: value.cause };
}
