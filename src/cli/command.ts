import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

export type Option = {
	/** What its value is called in the help; absent for a flag. */
	value?: string;
	help: string;
	isRequired?: true;
	/** May be given several times. */
	isRepeated?: true;
	/** `@file` stands for what a file says, so that a secret need not be seen in the list of processes. */
	isSecret?: true;
};

export type Command = {
	/** What it does, in a line. */
	summary: string;
	/** What to know before, for its own help. */
	details?: string;
	options: Record<string, Option>;
	/** Throws an AppError, a ConfigError or a StartRefused where it cannot do what was asked. */
	run(given: Given, surroundings: Surroundings): Promise<Outcome>;
};

export type Surroundings = {
	env: Record<string, string | undefined>;
	readInput(): Promise<Buffer>;
	/** A line of a command that goes on, before its outcome. */
	tell(line: string): void;
	/** A line beside the results. */
	warn(line: string): void;
	/** For a command that goes on: aborts when a person or the system ends it. Others end at once. */
	whenEnded(): AbortSignal;
};

export type Outcome = {
	text: string;
	json: unknown;
	/** The command ran, and what it found is not as it should be: it ends with 1. */
	isBad?: boolean;
};

/** What was given for a command's options. */
export type Given = {
	text(name: string): string | undefined;
	/** An option that `isRequired`. */
	required(name: string): string;
	list(name: string): string[];
	flag(name: string): boolean;
};

/** A command line that cannot be understood. */
export class UsageError extends Error {}

const common: Record<string, Option> = {
	json: { help: "prints JSON" },
	help: { help: "prints this" },
};

/** Reads a command's arguments. Throws a UsageError; a missing option is none when help is asked for. */
export async function readArguments({ options }: Pick<Command, "options">, args: string[]): Promise<Given> {
	const all = { ...options, ...common };
	const values = parse(all, args);
	for (const [name, option] of Object.entries(options)) {
		const isMissing = option.isRequired && values[name] === undefined && values.help !== true;
		if (isMissing) throw new UsageError(`\`--${name}\` is required.`);
		if (option.isSecret && typeof values[name] === "string") values[name] = await resolveFile(values[name]);
	}
	const text = (name: string) => (typeof values[name] === "string" ? values[name] : undefined);
	return {
		text,
		required: (name) => text(name) ?? "",
		list: (name) => (Array.isArray(values[name]) ? values[name].map(String) : []),
		flag: (name) => values[name] === true,
	};
}

type Values = Record<string, string | boolean | (string | boolean)[] | undefined>;

function parse(options: Record<string, Option>, args: string[]): Values {
	const config = Object.entries(options).map(([name, option]) => [
		name,
		{
			type: option.value === undefined ? "boolean" : "string",
			multiple: option.isRepeated === true,
		} as const,
	]);
	try {
		return parseArgs({ args, options: Object.fromEntries(config), strict: true }).values as Values;
	} catch (error) {
		if (!(error instanceof TypeError)) throw error;
		// Its further sentences are advice on spellings that no option here needs.
		throw new UsageError(`${error.message.split(/\. |\n/)[0]?.replace(/\.$/, "")}.`);
	}
}

async function resolveFile(text: string): Promise<string> {
	if (!text.startsWith("@")) return text;
	try {
		return (await readFile(text.slice(1), "utf8")).trim();
	} catch {
		throw new UsageError(`The file ${text.slice(1)} cannot be read.`);
	}
}

/** A body with those of its fields that were given. */
export function given(fields: Record<string, unknown>): Record<string, unknown> {
	return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** What `--help` prints. */
export function helpOf(name: string, { summary, details, options }: Command): string {
	const all = Object.entries({ ...options, ...common });
	const spelled = all.map(([option, { value }]) => `--${option}${value === undefined ? "" : ` <${value}>`}`);
	const width = Math.max(...spelled.map((text) => text.length));
	const lines = all.map(([, option], index) => `  ${spelled[index]?.padEnd(width)}  ${describe(option)}`);
	const more = details === undefined ? [] : ["", details];
	return [
		`Usage: npm run cli -- ${name} [options]`,
		"",
		`${name} ${summary}.`,
		...more,
		"",
		...lines,
		"",
	].join("\n");
}

function describe({ help, isRequired, isRepeated, isSecret }: Option): string {
	const notes = [isRequired && "required", isRepeated && "may be repeated", isSecret && "or @file"].filter(
		Boolean,
	);
	return notes.length === 0 ? help : `${help} (${notes.join(", ")})`;
}
