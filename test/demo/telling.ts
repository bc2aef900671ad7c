const startedAtMs = Date.now();

/** Lines of an act's summary. */
export type Summary = [name: string, value: number | string][];

export function secondsSoFar(): string {
	return ((Date.now() - startedAtMs) / 1000).toFixed(1);
}

export function say(line: string): void {
	process.stdout.write(`${secondsSoFar().padStart(5)} s  ${line}\n`);
}

export function must(holds: boolean, otherwise: string): asserts holds {
	if (!holds) throw new Error(otherwise);
}
