import type { Site } from "./site.ts";

/** One line of the table. */
export type Row = {
	name: string;
	measured: string;
	/** Null where the case is only for the record. */
	ratio: number | null;
	goal: string;
	isMet: boolean | null;
	/** What the time went into. */
	limit: string;
};

export type CaseInput = {
	site: Site;
	/** Smaller sizes, fewer rounds. */
	isQuick: boolean;
	/** Parts of the case to run; empty means all. */
	only: string[];
	say(line: string): void;
};

export type Case = (input: CaseInput) => Promise<Row[]>;
